package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/docker/go-units"

	"github.com/seatrial/seatrial/llb"
)

// From here on a context is so large that most likely not all of it is meant.
const (
	manyBytes = 500 << 20
	manyFiles = 50_000
)

// Of paths and of shares, a warning names no more.
const (
	mostNamed  = 5
	mostShares = 3
)

// warnOfContexts says what was left out of contexts, and which are large.
func warnOfContexts(w io.Writer, transfers []llb.Transfer) {
	for _, t := range transfers {
		name := contextTitle(t)
		if len(t.LeftOut) > 0 {
			fmt.Fprintf(w, "warning: left out of %s, being neither file, directory nor link: %s\n", name, some(t.LeftOut))
		}
		switch {
		case t.Bytes >= manyBytes:
			fmt.Fprintf(w, "warning: %s of %s were sent to the builder, most of it in %s; name what the build does not need in .dockerignore\n",
				units.BytesSize(float64(t.Bytes)), name, sharesOf(t.Sent, func(n int64) string { return units.BytesSize(float64(n)) }))
		case t.Files >= manyFiles:
			fmt.Fprintf(w, "warning: %s has %d files, most of them in %s; name what the build does not need in .dockerignore\n",
				name, t.Files, sharesOf(t.Listed, func(n int64) string { return plural(int(n), "file") }))
		}
	}
}

func contextTitle(t llb.Transfer) string {
	if named, ok := strings.CutPrefix(t.Name, "context-"); ok {
		return fmt.Sprintf("build context %q", named)
	}
	return "the build context"
}

// largeHint is what to say of a context while it is sent.
func largeHint(t llb.Transfer) string {
	return fmt.Sprintf("[hint] %s of %s sent so far, most of it in %s: does the build need it? .dockerignore keeps files here",
		units.BytesSize(float64(t.Bytes)), contextTitle(t), sharesOf(t.Sent, func(n int64) string { return units.BytesSize(float64(n)) }))
}

// sharesOf are the largest of shares, those that matter.
func sharesOf(shares []llb.Share, amount func(int64) string) string {
	var names []string
	for i, s := range shares {
		if i == mostShares || s.Amount*100 < shares[0].Amount {
			break
		}
		names = append(names, fmt.Sprintf("%q (%s)", s.Path, amount(s.Amount)))
	}
	return strings.Join(names, ", ")
}

// some are the first of paths, escaped: they may be any bytes.
func some(paths []string) string {
	var names []string
	for i, p := range paths {
		if i == mostNamed {
			names = append(names, fmt.Sprintf("and %d more", len(paths)-i))
			break
		}
		names = append(names, fmt.Sprintf("%q", p))
	}
	return strings.Join(names, ", ")
}
