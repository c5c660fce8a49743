package main

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
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
	return sanitize(llb.RedactURLs(text))
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
		_ = f.source.Print(w)
	}
	fmt.Fprintf(w, "%s: %s\n", f.level(), f.text())
	for _, line := range []string{f.fix, f.url} {
		if line != "" {
			fmt.Fprintf(w, "  %s\n", strings.ReplaceAll(line, "\n", "\n  "))
		}
	}
}

// hideSecrets has excerpts not show the values that a Dockerfile should not have
// had: the output of a build may be read by more people than its sources.
func hideSecrets(all []finding) {
	for _, f := range all {
		if f.rule != ruleSecrets {
			continue
		}
		for i := range all {
			if all[i].source != nil && all[i].file() == f.file() {
				all[i].source = &errdefs.Source{Info: withoutValues(all[i].source.Info, f.source.GetRanges()), Ranges: all[i].source.Ranges}
			}
		}
	}
}

// withoutValues is a file whose ARG and ENV instructions at ranges have no values.
func withoutValues(info *pb.SourceInfo, ranges []*pb.Range) *pb.SourceInfo {
	lines := strings.Split(string(info.Data), "\n")
	for _, r := range ranges {
		for n := r.Start.Line; n <= max(r.Start.Line, r.End.Line) && int(n) <= len(lines); n++ {
			lines[n-1] = withoutValue(lines[n-1])
		}
	}
	masked := info.CloneVT()
	masked.Data = []byte(strings.Join(lines, "\n"))
	return masked
}

// secretLine is an ARG or ENV of a name that BuildKit's rule SecretsUsedInArgOrEnv is
// about, or nearly so: here too much is better than too little.
var secretLine = regexp.MustCompile(`(?i)^\s*(ARG|ENV)\s.*(auth|credential|key|passw|pword|secret|token)`)

// withoutSecrets is a file whose lines that look so have no values.
func withoutSecrets(info *pb.SourceInfo) *pb.SourceInfo {
	if info == nil {
		return nil
	}
	lines := strings.Split(string(info.Data), "\n")
	for i, line := range lines {
		if secretLine.MatchString(line) {
			lines[i] = withoutValue(line)
		}
	}
	masked := info.CloneVT()
	masked.Data = []byte(strings.Join(lines, "\n"))
	return masked
}

// withoutValue takes the NAME=VALUE of ARG and ENV, and the old form of ENV.
func withoutValue(line string) string {
	if name, _, ok := strings.Cut(line, "="); ok {
		return name + "=" + mask
	}
	if fields := strings.Fields(line); len(fields) > 2 {
		return fields[0] + " " + fields[1] + " " + mask
	}
	return line
}
