package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// row is one test with all frontends.
type row struct {
	test string
	runs map[string]*run
	leaf bool // it has no tests below it
}

// table sorts the tests by what their outcomes say of our frontends.
type table struct {
	frontends []string
	passing   int    // with a frontend of BuildKit's, and with ours
	different []*row // passing with a frontend of BuildKit's, not with ours
	failing   []*row // failing with BuildKit's
	ahead     []*row // failing with BuildKit's and passing with ours
	builtin   []*row // passing with BuildKit's, and skipping all of ours
	skipped   []*row // skipping all frontends
	// unfinished are the tests that did not end with BuildKit's frontends, as
	// when the test program crashed: nothing can be said of them.
	unfinished []*row
}

func tabulate(runs []*run) *table {
	t := &table{}
	again := map[string]bool{} // skipped for want of containerd, and run with it
	for _, one := range runs {
		if test, ok := strings.CutSuffix(one.test, "/worker=containerd"); ok {
			again[test] = true
		}
	}
	for _, r := range rows(runs) {
		for name := range r.runs {
			if !slices.Contains(t.frontends, name) {
				t.frontends = append(t.frontends, name)
			}
		}
		if r.leaf && !again[r.test] {
			t.sort(r)
		}
	}
	slices.Sort(t.frontends)
	return t
}

func rows(runs []*run) []*row {
	var list []*row
	byTest := map[string]*row{}
	for _, one := range runs {
		r := byTest[one.test]
		if r == nil {
			r = &row{test: one.test, runs: map[string]*run{}, leaf: true}
			byTest[one.test] = r
			list = append(list, r)
		}
		r.runs[one.frontend] = one
	}
	for _, r := range list {
		for i := strings.LastIndex(r.test, "/"); i > 0; i = strings.LastIndex(r.test[:i], "/") {
			inherit(r, byTest[r.test[:i]])
		}
	}
	slices.SortFunc(list, func(a, b *row) int { return strings.Compare(a.test, b.test) })
	return list
}

// inherit gives a subtest that was not reached the outcome of the one above it.
func inherit(r, parent *row) {
	if parent == nil {
		return
	}
	parent.leaf = false
	for name, above := range parent.runs {
		if r.runs[name] == nil {
			r.runs[name] = above
		}
	}
}

func (t *table) sort(r *row) {
	theirs, ours := r.outcomes(isTheirs), r.outcomes(isOurs)
	switch {
	case slices.Contains(theirs, ""):
		t.unfinished = append(t.unfinished, r)
	case slices.Contains(theirs, "pass"):
		t.sortPassing(r, ours)
	case slices.Contains(theirs, "fail") && !slices.Contains(ours, "fail") && slices.Contains(ours, "pass"):
		t.ahead = append(t.ahead, r)
	case slices.Contains(theirs, "fail"):
		t.failing = append(t.failing, r)
	case slices.Contains(ours, "fail"):
		t.different = append(t.different, r)
	default:
		t.skipped = append(t.skipped, r)
	}
}

func (t *table) sortPassing(r *row, ours []string) {
	switch {
	case slices.Contains(ours, "fail"), slices.Contains(ours, ""), len(ours) == 0:
		t.different = append(t.different, r)
	case slices.Contains(ours, "pass"):
		t.passing++
	default:
		t.builtin = append(t.builtin, r)
	}
}

func isOurs(frontend string) bool   { return strings.HasPrefix(frontend, "seatrial") }
func isTheirs(frontend string) bool { return !isOurs(frontend) }

func (r *row) outcomes(of func(frontend string) bool) []string {
	var list []string
	for name, one := range r.runs {
		if of(name) {
			list = append(list, one.outcome)
		}
	}
	return list
}

// first is the first run that ended so, by the frontends' names.
func (r *row) first(outcome string, of func(frontend string) bool) *run {
	names := make([]string, 0, len(r.runs))
	for name := range r.runs {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if of(name) && r.runs[name].outcome == outcome {
			return r.runs[name]
		}
	}
	return nil
}

func (t *table) write(w io.Writer) {
	anyone := func(string) bool { return true }
	section(w, "skipped with every frontend", t.skipped, func(r *row) string { return skipReason(r.first("skip", anyone)) })
	section(w, "pass with BuildKit's frontend, skipped for any other", t.builtin, func(r *row) string { return skipReason(r.first("skip", isOurs)) })
	section(w, "fail with BuildKit's frontends, pass with ours", t.ahead, func(r *row) string { return failReason(r.first("fail", isTheirs)) })
	section(w, "fail with both", t.failing, func(r *row) string { return failReason(r.first("fail", isTheirs)) })
	section(w, "did not end", t.unfinished, func(*row) string { return "" })
	section(w, "PASS WITH BUILDKIT'S FRONTEND AND FAIL WITH OURS", t.different, func(r *row) string {
		return t.marks(r) + " " + failReason(r.first("fail", isOurs))
	})
	fmt.Fprintf(w, "\n%5d pass with both\n", t.passing)
	for _, line := range []struct {
		n    int
		what string
	}{
		{len(t.skipped), "skipped with every frontend"},
		{len(t.builtin), "pass with BuildKit's frontend, skipped for any other"},
		{len(t.ahead), "fail with BuildKit's frontends, pass with ours"},
		{len(t.failing), "fail with both"},
		{len(t.unfinished), "did not end"},
		{len(t.different), "pass with BuildKit's frontend and fail with ours"},
	} {
		fmt.Fprintf(w, "%5d %s\n", line.n, line.what)
	}
}

// marks says how a test ended with each frontend.
func (t *table) marks(r *row) string {
	list := make([]string, len(t.frontends))
	for i, name := range t.frontends {
		outcome := "none"
		if one := r.runs[name]; one != nil && one.outcome != "" {
			outcome = one.outcome
		}
		list[i] = name + "=" + outcome
	}
	return strings.Join(list, " ")
}

func section(w io.Writer, title string, list []*row, reason func(*row) string) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s (%d)\n", title, len(list))
	for _, r := range list {
		fmt.Fprintf(w, "  %-60s %s\n", r.test, reason(r))
	}
}
