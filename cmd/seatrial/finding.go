package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"

	"github.com/seatrial/seatrial/llb"
)

// finding is something to mend: what it is, where, and how.
type finding struct {
	rule    string // of BuildKit's linter, or what of the preflight it is about
	message string
	fix     string
	url     string          // where more about the rule is to be read
	source  *errdefs.Source // the lines that it is about; nil if there are none
	code    int             // what a run would exit with for it; 0 for a warning
}

// newWarning is a warning of the status stream. BuildKit writes those of its linter
// as "RULE: MESSAGE (line N)".
func newWarning(w client.VertexWarning) finding {
	f := finding{message: string(w.Short), url: w.URL}
	if w.SourceInfo != nil && len(w.Range) > 0 {
		f.source = &errdefs.Source{Info: w.SourceInfo, Ranges: w.Range}
	}
	if rule, message, ok := strings.Cut(f.message, ": "); ok && w.URL != "" && !strings.Contains(rule, " ") {
		f.rule, f.message = rule, strings.TrimSuffix(message, fmt.Sprintf(" (line %d)", f.line()))
		f.fix = lintFixes[rule]
	}
	return f
}

// file is the name of the file that f is about, "" if there is none.
func (f finding) file() string { return f.source.GetInfo().GetFilename() }

// line is the first line that f is about, 0 if there is none.
func (f finding) line() int { return firstOf(f.source.GetRanges()) }

// byPlace is the order of the files' lines.
func byPlace(a, b finding) int {
	return cmp.Or(cmp.Compare(a.file(), b.file()), cmp.Compare(a.line(), b.line()))
}

func firstOf(ranges []*pb.Range) int {
	first := 0
	for _, r := range ranges {
		if n := int(r.GetStart().GetLine()); first == 0 || n < first {
			first = n
		}
	}
	return first
}

func (f finding) level() string {
	if f.code == 0 {
		return "warning"
	}
	return "error"
}

// text is what is wrong, after the rule if it has one.
func (f finding) text() string {
	text := f.message
	if f.rule != "" {
		text = f.rule + ": " + text
	}
	return sanitize(withoutUserinfo(llb.RedactURLs(text)))
}

// short is f in one line.
func (f finding) short() string {
	if f.line() == 0 {
		return f.text()
	}
	return fmt.Sprintf("%s:%d: %s", f.file(), f.line(), f.text())
}

// print shows the lines, what is wrong with them, and what can be done.
func (f finding) print(w io.Writer) {
	if f.source != nil {
		printSource(w, f.source)
	}
	fmt.Fprintf(w, "%s: %s\n", f.level(), f.text())
	for _, line := range []string{f.fix, f.url} {
		if line != "" {
			fmt.Fprintf(w, "  %s\n", strings.ReplaceAll(line, "\n", "\n  "))
		}
	}
}
