package main

import (
	"fmt"
	"io"
	"slices"
)

const (
	// fewWarnings are shown with their lines and how to mend them.
	fewWarnings = 3
	// manyWarnings are shown at most.
	manyWarnings = 20
)

// warnings are what the build was warned of, and what was noted before it.
func (o *outcome) warnings() []finding {
	out := slices.Clone(o.noted)
	if o.result == nil {
		return out
	}
	for _, w := range o.result.Record.Warnings() {
		out = append(out, newWarning(w))
	}
	slices.SortStableFunc(out, byPlace)
	return out
}

// printWarnings shows a few in full, and many by a line each.
func printWarnings(w io.Writer, all []finding) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s:\n", plural(len(all), "warning"))
	if len(all) <= fewWarnings {
		for _, f := range all {
			f.print(w)
		}
		return
	}
	for _, f := range all[:min(len(all), manyWarnings)] {
		fmt.Fprintf(w, "  %s\n", f.short())
	}
	if more := len(all) - manyWarnings; more > 0 {
		fmt.Fprintf(w, "  and %d more\n", more)
	}
	fmt.Fprintln(w, "  (seatrial check shows the lines, and how to mend them)")
}

// resultWarning is a warning in the result file.
type resultWarning struct {
	Rule    string `json:"rule,omitempty"`
	Message string `json:"message"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Fix     string `json:"fix,omitempty"`
	URL     string `json:"url,omitempty"`
}

func (f finding) document() resultWarning {
	return resultWarning{Rule: f.rule, Message: withoutUserinfo(f.message), File: f.file(), Line: f.line(), Fix: f.fix, URL: f.url}
}
