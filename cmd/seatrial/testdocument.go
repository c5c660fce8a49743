package main

import (
	"bytes"
	"time"

	"github.com/seatrial/seatrial/testsuite"
	"github.com/seatrial/seatrial/testsuite/junit"
)

// resultTest is a test in the result file.
type resultTest struct {
	Name     string     `json:"name"`
	Platform string     `json:"platform,omitempty"` // of an index
	Shard    int        `json:"shard,omitempty"`    // from 1
	Shards   int        `json:"shards,omitempty"`
	Status   string     `json:"status"`
	Cached   bool       `json:"cached"`
	Ran      *time.Time `json:"ran,omitempty"` // when it did, if it is cached
	Seconds  float64    `json:"seconds"`
	ExitCode int        `json:"exitCode"` // -1: no command exited
	Reason   string     `json:"reason,omitempty"`
	Attempts int        `json:"attempts"`
	Flaky    bool       `json:"flaky,omitempty"`
	TimedOut bool       `json:"timedOut,omitempty"`
	// Reports are files in Directory, which is in the report directory.
	Directory string       `json:"directory,omitempty"`
	Reports   []string     `json:"reports,omitempty"`
	Warnings  []string     `json:"warnings,omitempty"`
	Results   *resultCases `json:"results,omitempty"` // of its own reports
}

// resultCases are what a test's own reports say.
type resultCases struct {
	Total   int          `json:"total"`
	Passed  int          `json:"passed"`
	Failed  int          `json:"failed"`
	Skipped int          `json:"skipped"`
	Cases   []resultCase `json:"cases"`
}

type resultCase struct {
	Suite   string  `json:"suite,omitempty"`
	Class   string  `json:"class,omitempty"`
	Name    string  `json:"name"`
	Status  string  `json:"status"`
	Flaky   bool    `json:"flaky,omitempty"`
	Seconds float64 `json:"seconds"`
	Message string  `json:"message,omitempty"`
	File    string  `json:"file,omitempty"`
	Line    int     `json:"line,omitempty"`
}

func testDocument(c testsuite.Case) resultTest {
	doc := resultTest{
		Name: c.Name, Platform: c.Platform, Shard: c.Shard, Shards: c.Shards,
		Status: string(c.Status), Cached: c.Cached, Seconds: c.Duration.Seconds(), ExitCode: c.ExitCode, Reason: c.Reason,
		Attempts: c.Attempts, Flaky: c.Flaky, TimedOut: c.TimedOut,
		Directory: c.Dir, Reports: c.Files, Warnings: c.Warnings, Results: casesDocument(c.Results),
	}
	if !c.Ran.IsZero() {
		doc.Ran = &c.Ran
	}
	return doc
}

func casesDocument(rep *junit.Report) *resultCases {
	if rep == nil {
		return nil
	}
	doc := &resultCases{Passed: rep.Count(junit.Passed), Failed: rep.Count(junit.Failed), Skipped: rep.Count(junit.Skipped), Cases: []resultCase{}}
	for _, s := range rep.Suites {
		for _, c := range s.Cases {
			doc.Cases = append(doc.Cases, resultCase{
				Suite: s.Name, Class: c.Class, Name: c.Name, Status: string(c.Status), Flaky: c.Flaky,
				Seconds: c.Time.Seconds(), Message: c.Message, File: c.File, Line: c.Line,
			})
		}
	}
	doc.Total = len(doc.Cases)
	return doc
}

func writeJUnit(path string, rep *junit.Report) error {
	var b bytes.Buffer
	if err := junit.Write(&b, rep); err != nil {
		return err
	}
	return writeFile(path, b.Bytes())
}
