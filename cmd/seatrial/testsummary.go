package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/seatrial/seatrial/testsuite"
	"github.com/seatrial/seatrial/testsuite/junit"
)

const (
	// shownCases is how many failed cases of a test's own reports are shown.
	shownCases = 10
	// shownLines is how many lines of a case's message.
	shownLines = 12
)

func summarizeCase(w io.Writer, c testsuite.Case) {
	verdict := string(c.Status)
	switch {
	case c.Cached:
		verdict += " (cached: it passed on this image before" + ago(c.Ran) + ")"
	case c.Status == testsuite.Failed:
		verdict += ": " + firstLine(c.Reason)
	case c.Flaky:
		verdict += fmt.Sprintf(" in %s, but only at attempt %d: it is flaky", seconds(c.Duration), c.Attempts)
	case c.Status == testsuite.Passed:
		verdict += " in " + seconds(c.Duration)
	}
	if c.Status == testsuite.Passed && c.Results != nil {
		verdict += ": " + tally(c.Results)
	}
	c.Name = short(c.Name, 40)
	row(w, "tested", c.Title(), verdict)
	for _, warning := range c.Warnings {
		fmt.Fprintf(w, "warning: test %q: %s\n", c.Title(), warning)
	}
}

// tally counts what a test's own reports say.
func tally(rep *junit.Report) string {
	parts := []string{fmt.Sprintf("%d passed", rep.Count(junit.Passed))}
	for _, st := range []junit.Status{junit.Failed, junit.Skipped} {
		if n := rep.Count(st); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, st))
		}
	}
	return strings.Join(parts, ", ")
}

// ago says how long it is since a time, in words; nothing if it is not known, or the
// clocks disagree.
func ago(t time.Time) string {
	d := time.Since(t)
	if t.IsZero() || d < 0 {
		return ""
	}
	switch {
	case d < 2*time.Minute:
		return ", " + plural(int(d.Seconds()), "second") + " ago"
	case d < 2*time.Hour:
		return ", " + plural(int(d.Minutes()), "minute") + " ago"
	case d < 48*time.Hour:
		return ", " + plural(int(d.Hours()), "hour") + " ago"
	}
	return ", on " + t.Local().Format(time.DateOnly)
}

// failures shows the Dockerfile's lines of stages that failed, what failed tests
// printed, unless the display has, and the failed cases of their reports.
func (o *outcome) failures(w io.Writer) {
	var failed *buildError
	if errors.As(o.err, &failed) && !o.shown {
		for _, v := range o.result.Record.Failed() {
			printOutput(w, "step "+v.Name, v)
		}
	}
	if o.report == nil {
		return
	}
	for _, c := range o.report.Cases {
		if c.Status != testsuite.Failed {
			continue
		}
		for _, src := range c.Sources {
			printSource(w, src)
		}
		if !o.shown {
			printOutput(w, fmt.Sprintf("test %q", c.Title()), c.Output)
		}
		fmt.Fprint(w, sanitize(string(c.ServiceOutput)))
		printCases(w, c)
	}
}

// printCases shows the failed cases of a test's own reports.
func printCases(w io.Writer, c testsuite.Case) {
	if c.Results == nil || c.Results.Count(junit.Failed) == 0 {
		return
	}
	failed := c.Results.Count(junit.Failed)
	fmt.Fprintf(w, "%d failed of %d in test %q:\n", failed, len(c.Results.Cases()), c.Title())
	shown := 0
	for _, one := range c.Results.Cases() {
		if one.Status != junit.Failed {
			continue
		}
		if shown++; shown > shownCases {
			fmt.Fprintf(w, "  and %d more: see its reports\n", failed-shownCases)
			return
		}
		fmt.Fprintf(w, "  ✗ %s\n", sanitize(caseName(one)))
		text := one.Message
		if text == "" || one.Detail != "" && !strings.Contains(text, "\n") {
			text = strings.TrimSpace(one.Message + "\n" + one.Detail)
		}
		lines := strings.Split(strings.TrimSpace(sanitize(text)), "\n")
		for i, line := range lines {
			if i == shownLines {
				fmt.Fprintf(w, "    | … %d more lines\n", len(lines)-shownLines)
				break
			}
			if line != "" || i > 0 {
				fmt.Fprintf(w, "    | %s\n", line)
			}
		}
	}
}

func caseName(c junit.Case) string {
	name := c.Name
	if c.Class != "" {
		name = c.Class + " " + name
	}
	if c.File != "" && c.Line > 0 {
		name += fmt.Sprintf(" (%s:%d)", c.File, c.Line)
	}
	return name
}
