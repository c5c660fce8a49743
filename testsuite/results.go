package testsuite

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/seatrial/seatrial/testsuite/gotest"
	"github.com/seatrial/seatrial/testsuite/helper/protocol"
	"github.com/seatrial/seatrial/testsuite/junit"
	"github.com/seatrial/seatrial/testsuite/tap"
)

// understand reads the reports that were brought here. A test that has brought none
// may have printed one.
func (tr *trace) understand(s *Suite) {
	if tr.dir == "" {
		return
	}
	found := &junit.Report{}
	for _, file := range tr.files {
		tr.parse(s, file, found)
	}
	if len(found.Suites) == 0 && len(tr.problems) == 0 {
		tr.parse(s, protocol.LogFile, found)
	}
	if len(found.Suites) > 0 {
		tr.report = found
	}
}

// parse adds the cases of a file, if it is a report.
func (tr *trace) parse(s *Suite, file string, into *junit.Report) {
	name := path.Join(tr.dir, file)
	rep, err := parseFile(filepath.Join(s.ReportDir, filepath.FromSlash(name)))
	if err != nil {
		tr.problems = append(tr.problems, Problem{File: name, Err: err})
	}
	if rep != nil {
		into.Add(rep)
	}
}

var (
	startsTAP    = regexp.MustCompile(`(?m)\A(TAP version 1[234]$|1\.\.\d+\s*$|ok 1\b|not ok 1\b)`)
	startsGoTest = regexp.MustCompile(`\A\{("Time":"[^"]*",)?("ImportPath":"[^"]*",)?"Action":"(start|run|output|build-output|pass|fail)"`)
)

// parseFile reads a file whose content, or name, says that it is a report; nil if it
// is something else.
func parseFile(name string) (*junit.Report, error) {
	f, err := os.Open(name)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	defer f.Close()
	head := make([]byte, 4096)
	n, err := f.ReadAt(head, 0)
	if n == 0 && err != nil && !strings.EqualFold(filepath.Ext(name), ".xml") {
		return nil, nil
	}
	head = bytes.TrimLeft(head[:n], " \t\r\n\ufeff")
	switch {
	case strings.EqualFold(filepath.Ext(name), ".xml"):
		rep, err := junit.Parse(f)
		if errors.Is(err, junit.ErrNotJUnit) {
			return nil, nil // coverage, for instance
		}
		return rep, err
	case startsGoTest.Match(head):
		return gotest.Parse(f)
	case startsTAP.Match(head):
		return tap.Parse(f)
	}
	return nil, nil
}

// ReportError says that a test's reports contradict its exit code, or cannot be read.
type ReportError struct {
	Failed, Total int
	Problems      []Problem
}

func (e *ReportError) Error() string {
	if e.Failed > 0 {
		return fmt.Sprintf("%d of %d failed, though its exit code was 0", e.Failed, e.Total)
	}
	p := e.Problems[0]
	return fmt.Sprintf("report %s: %v", p.File, p.Err)
}

// failedCases counts those of the reports, and all.
func (tr *trace) failedCases() (failed, total int) {
	if tr.report == nil {
		return 0, 0
	}
	return tr.report.Count(junit.Failed), len(tr.report.Cases())
}

// verdict is what the reports of a test say that has ended well.
func (tr *trace) verdict() error {
	failed, total := tr.failedCases()
	if failed > 0 || len(tr.problems) > 0 {
		return &ReportError{Failed: failed, Total: total, Problems: tr.problems}
	}
	return nil
}

// merged is what a case adds to the report of all: its own cases, or if there are none
// itself as the only one.
func (c Case) merged() []junit.Suite {
	if c.Results != nil {
		var out []junit.Suite
		for _, s := range c.Results.Suites {
			if s.Name == "" {
				s.Name = c.Title()
			}
			out = append(out, s)
		}
		if c.Status != Failed || c.Results.Count(junit.Failed) > 0 {
			return out
		}
		return append(out, c.alone()) // nothing in its report says that it failed
	}
	return []junit.Suite{c.alone()}
}

func (c Case) alone() junit.Suite {
	one := junit.Case{Name: c.Title(), Class: "seatrial", Time: c.Duration, Stdout: string(c.Output.Log), Flaky: c.Flaky}
	switch c.Status {
	case Passed:
		one.Status = junit.Passed
	case Failed:
		one.Status, one.Message = junit.Failed, c.Reason
	default:
		one.Status, one.Message = junit.Skipped, string(c.Status)
	}
	return junit.Suite{Name: c.Title(), Cases: []junit.Case{one}}
}

// JUnit is the report of all tests in one.
func (r *Report) JUnit() *junit.Report {
	out := &junit.Report{}
	for _, c := range r.Cases {
		out.Suites = append(out.Suites, c.merged()...)
	}
	return out
}
