package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// report prints the findings and decides on the exit code.
func (k *checker) report(std Streams, format string, strict bool) error { //nolint:revive // strict is a switch of the command line
	slices.SortStableFunc(k.found, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.level(), b.level()), byPlace(a, b))
	})
	count, code := map[string]int{}, 0
	for _, f := range k.found {
		count[f.level()]++
		if f.code != 0 && (code == 0 || f.code < code) {
			code = f.code
		}
	}
	if strict && code == 0 && count["warning"] > 0 {
		code = exitBuild
	}
	text := plural(count["error"], "error") + ", " + plural(count["warning"], "warning")
	if err := k.print(std.Out, format); err != nil {
		return fmt.Errorf("printing the findings: %w", err)
	}
	if code != 0 {
		return &checkError{code: code, text: text}
	}
	if !k.plan.quiet {
		fmt.Fprintf(std.Err, "seatrial: %s in %s\n", text, strings.Join(append([]string{"Dockerfile"}, k.looked...), ", "))
	}
	return nil
}

// checkDocument is what check prints with --format json.
type checkDocument struct {
	SchemaVersion int            `json:"schemaVersion"`
	Findings      []checkFinding `json:"findings"`
}

type checkFinding struct {
	Level    string `json:"level"`              // error or warning
	ExitCode int    `json:"exitCode,omitempty"` // of a run, for an error
	resultWarning
}

func (k *checker) print(w io.Writer, format string) error {
	if format == "json" {
		doc := checkDocument{SchemaVersion: resultSchema, Findings: []checkFinding{}}
		for _, f := range k.found {
			doc.Findings = append(doc.Findings, checkFinding{Level: f.level(), ExitCode: f.code, resultWarning: f.document()})
		}
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(doc)
	}
	var b strings.Builder
	for i, f := range k.found {
		if i > 0 {
			fmt.Fprintln(&b)
		}
		f.print(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
