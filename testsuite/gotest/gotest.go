// Package gotest reads what `go test -json` prints (cmd/test2json) as a JUnit report:
// a suite for each package, a case for each test.
package gotest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/seatrial/seatrial/testsuite/junit"
)

// ErrNone says that there is no event in what was read.
var ErrNone = errors.New("no events of go test -json")

// event is a TestEvent, or a BuildEvent (`go help buildjson`).
type event struct {
	Action      string
	Package     string
	Test        string
	Elapsed     float64 // seconds
	Output      string
	ImportPath  string
	FailedBuild string
}

// Parse reads events, one a line. Other lines, which the tools print in between, are
// passed over. A package that failed with no failed test (it did not compile, or it
// exited) is a failed case of its own name. A test that never ended has failed.
func Parse(r io.Reader) (*junit.Report, error) {
	p := &parser{at: map[string]*suite{}, builds: map[string]*strings.Builder{}}
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadBytes('\n')
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] == '{' {
			var ev event
			if json.Unmarshal(line, &ev) == nil && ev.Action != "" {
				p.take(ev)
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading events of go test: %w", err)
		}
	}
	if len(p.order) == 0 {
		return nil, ErrNone
	}
	return p.report(), nil
}

type parser struct {
	order  []*suite
	at     map[string]*suite
	builds map[string]*strings.Builder // what the compiler said, by import path
}

type suite struct {
	name  string
	tests []*test
	at    map[string]*test
	own   test // what is said of the package itself
}

type test struct {
	name    string
	action  string // how it ended: pass, fail, skip; "" if it did not
	elapsed float64
	output  strings.Builder
}

func (p *parser) take(ev event) {
	if ev.ImportPath != "" { // a BuildEvent
		b := p.builds[ev.ImportPath]
		if b == nil {
			b = &strings.Builder{}
			p.builds[ev.ImportPath] = b
		}
		b.WriteString(ev.Output)
		return
	}
	s := p.at[ev.Package]
	if s == nil {
		s = &suite{name: ev.Package, at: map[string]*test{}}
		p.at[ev.Package] = s
		p.order = append(p.order, s)
	}
	t := &s.own
	if ev.Test != "" {
		if t = s.at[ev.Test]; t == nil {
			t = &test{name: ev.Test}
			s.at[ev.Test] = t
			s.tests = append(s.tests, t)
		}
	}
	switch ev.Action {
	case "output":
		t.output.WriteString(ev.Output)
	case "pass", "fail", "skip":
		t.action, t.elapsed = ev.Action, ev.Elapsed
	}
	if b := p.builds[ev.FailedBuild]; ev.FailedBuild != "" && b != nil {
		t.output.WriteString(b.String())
	}
}

func (p *parser) report() *junit.Report {
	rep := &junit.Report{}
	for _, s := range p.order {
		out := junit.Suite{Name: s.name}
		failed := false
		for _, t := range s.tests {
			c := t.caseOf(s.name)
			failed = failed || c.Status == junit.Failed
			out.Cases = append(out.Cases, c)
		}
		if s.own.action == "fail" && !failed {
			s.own.name = s.name
			out.Cases = append(out.Cases, s.own.caseOf(s.name))
		}
		rep.Suites = append(rep.Suites, out)
	}
	return rep
}

func (t *test) caseOf(pkg string) junit.Case {
	c := junit.Case{Name: t.name, Class: pkg, Time: time.Duration(t.elapsed * float64(time.Second)), Status: junit.Passed}
	output := strings.TrimSpace(t.output.String())
	switch t.action {
	case "pass":
		c.Stdout = output
	case "skip":
		c.Status, c.Message = junit.Skipped, said(output)
	case "fail":
		c.Status, c.Message, c.Detail = junit.Failed, said(output), output
	default:
		c.Status, c.Message, c.Detail = junit.Failed, "the test did not end", output
	}
	return c
}

// said is the first line that is the test's own, not of the frame around it.
func said(output string) string {
	for _, line := range strings.Split(output, "\n") {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- ") {
			return line
		}
	}
	return ""
}
