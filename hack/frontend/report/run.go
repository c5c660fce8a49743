package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// run is one test with one frontend.
type run struct {
	test     string // its name without the frontend
	frontend string
	outcome  string // pass, fail, skip; "" if it did not end
	output   strings.Builder
}

// event is a line of test2json's output.
type event struct {
	Action, Test, Output string
}

// read collects the runs from test2json's output, in the order they began in.
// Tests that have no frontend, as the one around all others, are left out.
func read(r io.Reader) ([]*run, error) {
	var runs []*run
	byName := map[string]*run{}
	dec := json.NewDecoder(bufio.NewReader(r))
	for {
		var ev event
		if err := dec.Decode(&ev); errors.Is(err, io.EOF) {
			return runs, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading test2json's output: %w", err)
		}
		test, frontend := splitName(ev.Test)
		if frontend == "" {
			continue
		}
		one := byName[ev.Test]
		if one == nil {
			one = &run{test: test, frontend: frontend}
			byName[ev.Test] = one
			runs = append(runs, one)
		}
		switch ev.Action {
		case "pass", "fail", "skip":
			one.outcome = ev.Action
		case "output":
			one.output.WriteString(ev.Output)
		}
	}
}

// splitName takes the frontend out of a test's name, and what all names share.
func splitName(name string) (test, frontend string) {
	var rest []string
	for _, part := range strings.Split(name, "/") {
		switch {
		case strings.HasPrefix(part, "frontend="):
			frontend = strings.TrimPrefix(part, "frontend=")
		case part == "TestIntegration", part == "worker=oci":
		default:
			rest = append(rest, part)
		}
	}
	return strings.Join(rest, "/"), frontend
}
