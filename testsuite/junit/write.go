package junit

import (
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
)

// Write writes a report in the dialect that GitLab, Jenkins and GitHub's actions read:
// a failure's whole text is its content, since GitLab ignores the message.
func Write(w io.Writer, rep *Report) error {
	doc := outReport{Tests: len(rep.Cases()), Failures: rep.Count(Failed), Skipped: rep.Count(Skipped)}
	for _, s := range rep.Suites {
		doc.Suites = append(doc.Suites, outSuiteOf(s))
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return fmt.Errorf("writing JUnit report: %w", err)
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(doc); err != nil {
		return fmt.Errorf("writing JUnit report: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	return err
}

type outReport struct {
	XMLName  xml.Name   `xml:"testsuites"`
	Tests    int        `xml:"tests,attr"`
	Failures int        `xml:"failures,attr"`
	Skipped  int        `xml:"skipped,attr"`
	Suites   []outSuite `xml:"testsuite"`
}

type outSuite struct {
	Name     string    `xml:"name,attr"`
	Tests    int       `xml:"tests,attr"`
	Failures int       `xml:"failures,attr"`
	Skipped  int       `xml:"skipped,attr"`
	Time     string    `xml:"time,attr"`
	Cases    []outCase `xml:"testcase"`
}

type outCase struct {
	Name    string      `xml:"name,attr"`
	Class   string      `xml:"classname,attr"`
	File    string      `xml:"file,attr,omitempty"`
	Line    int         `xml:"line,attr,omitempty"`
	Time    string      `xml:"time,attr"`
	Failure *outOutcome `xml:"failure"`
	Skipped *outOutcome `xml:"skipped"`
	Flaky   *outOutcome `xml:"flakyFailure"`
	Stdout  string      `xml:"system-out,omitempty"`
	Stderr  string      `xml:"system-err,omitempty"`
}

type outOutcome struct {
	Message string `xml:"message,attr,omitempty"`
	Text    string `xml:",chardata"`
}

func outSuiteOf(s Suite) outSuite {
	one := &Report{Suites: []Suite{s}}
	out := outSuite{Name: s.Name, Tests: len(s.Cases), Failures: one.Count(Failed), Skipped: one.Count(Skipped)}
	total := 0.0
	for _, c := range s.Cases {
		total += c.Time.Seconds()
		o := outCase{
			Name: c.Name, Class: c.Class, File: c.File, Line: c.Line, Time: decimal(c.Time.Seconds()),
			Stdout: c.Stdout, Stderr: c.Stderr,
		}
		outcome := &outOutcome{Message: c.Message, Text: c.Detail}
		if outcome.Text == "" {
			outcome.Text = c.Message
		}
		switch {
		case c.Status == Failed:
			o.Failure = outcome
		case c.Status == Skipped:
			o.Skipped = outcome
		case c.Flaky:
			o.Flaky = outcome
		}
		out.Cases = append(out.Cases, o)
	}
	out.Time = decimal(total)
	return out
}

func decimal(f float64) string { return strconv.FormatFloat(f, 'f', 3, 64) }
