package junit

import (
	"slices"
	"time"
)

// Status is what became of a test case.
type Status string

// The outcomes of a case. An error, which some dialects tell from a failure, is one.
const (
	Passed  Status = "passed"
	Failed  Status = "failed"
	Skipped Status = "skipped"
)

// Report is what a test runner wrote.
type Report struct {
	Suites []Suite
}

// Suite is a group of cases. Groups inside groups are listed one after the other.
type Suite struct {
	Name  string
	Cases []Case
}

// Case is one test case.
type Case struct {
	Name  string
	Class string // often the suite or file
	File  string // "" if the dialect does not tell
	Line  int    // 0 likewise
	Time  time.Duration
	// Status tells how the case ended: on its last try, if there were several.
	Status Status
	// Flaky tells that it passed after it had failed.
	Flaky bool
	// Message is why it failed or was skipped, in a line or a few; Detail the
	// rest, often a stack trace. Several failures are joined.
	Message, Detail string
	// Stdout and Stderr are what it printed.
	Stdout, Stderr string
}

// Cases lists the cases of all suites.
func (r *Report) Cases() []Case {
	var out []Case
	for _, s := range r.Suites {
		out = append(out, s.Cases...)
	}
	return out
}

// Count is the number of cases with the status st.
func (r *Report) Count(st Status) int {
	n := 0
	for _, s := range r.Suites {
		for _, c := range s.Cases {
			if c.Status == st {
				n++
			}
		}
	}
	return n
}

// Add takes over the suites of another report, without those that have no case.
func (r *Report) Add(other *Report) {
	for _, s := range other.Suites {
		if len(s.Cases) > 0 {
			r.Suites = append(r.Suites, Suite{Name: s.Name, Cases: slices.Clone(s.Cases)})
		}
	}
}
