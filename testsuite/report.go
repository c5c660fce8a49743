package testsuite

import (
	"time"

	"github.com/moby/buildkit/solver/errdefs"
	"github.com/seatrial/seatrial/llb"
)

// Status is what became of a test.
type Status string

// The outcomes of a test.
const (
	Passed Status = "passed"
	Failed Status = "failed"
	// NotRun is a test that was stopped, or never started, because the
	// build ended before it.
	NotRun Status = "not run"
)

// Case is one test on one platform.
type Case struct {
	Name string
	// Platform is that of the image; "" if the image is for one only.
	Platform string
	Status   Status
	// Cached tells that the test passed on this very image before, and was
	// not run again.
	Cached bool
	// Duration is how long the test's own steps took; 0 if cached.
	Duration time.Duration
	// ExitCode is that of the failed command, -1 if none exited.
	ExitCode int
	// Reason says in a few words why a failed test failed.
	Reason string
	// Output is the end of what a failed test printed.
	Output llb.Vertex
	// Sources are the Dockerfile's lines that failed, if it is a stage.
	Sources []*errdefs.Source

	started, ended time.Time
}

// Title is the name, shortened, with the platform.
func (c Case) Title() string { return title(c.Name, c.Platform) }

// Report is what became of a suite.
type Report struct {
	Cases []Case
	// Untested are the image's platforms that Suite.Platforms left out.
	Untested []string
}

// Count is the number of cases with the status st.
func (r *Report) Count(st Status) int {
	n := 0
	for _, c := range r.Cases {
		if c.Status == st {
			n++
		}
	}
	return n
}

// Duration is the time from the start of the first test's own steps to the end of
// the last one's; 0 if nothing ran.
func (r *Report) Duration() time.Duration {
	var started, ended time.Time
	for _, c := range r.Cases {
		if !c.started.IsZero() && (started.IsZero() || c.started.Before(started)) {
			started = c.started
		}
		if c.ended.After(ended) {
			ended = c.ended
		}
	}
	return max(0, ended.Sub(started))
}

// Report tells what became of the suite, once its solve is over; rec is that
// solve's record.
func (s *Suite) Report(rec *llb.Record) *Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	rep := &Report{Untested: s.skipped}
	for _, r := range s.runs {
		rep.Cases = append(rep.Cases, r.report(rec))
	}
	return rep
}

func (r *run) report(rec *llb.Record) Case {
	c := Case{Name: r.name, Platform: r.platform, Status: NotRun, ExitCode: -1}
	switch {
	case r.done && r.err == nil:
		c.Status, c.ExitCode = Passed, 0
	case r.done && exitCode(r.err) >= 0:
		c.Status, c.ExitCode, c.Reason = Failed, exitCode(r.err), reason(r.err)
	case r.done:
		c.Status, c.Reason = Failed, reason(r.err)
	}
	c.Sources = errdefs.Sources(r.err)
	if r.graph == nil {
		return c
	}
	last := llb.Vertex{}
	for _, dgst := range r.graph.Vertices {
		last = rec.Vertex(dgst)
		c.add(last)
	}
	c.Cached = c.Status == Passed && last.Cached && !r.anew
	return c
}

// add counts a step in that belongs to the test alone.
func (c *Case) add(v llb.Vertex) {
	if v.Error != "" {
		c.Output = v
	}
	if v.Cached || v.Started.IsZero() || v.Completed.IsZero() {
		return
	}
	c.Duration += v.Completed.Sub(v.Started)
	if c.started.IsZero() || v.Started.Before(c.started) {
		c.started = v.Started
	}
	if v.Completed.After(c.ended) {
		c.ended = v.Completed
	}
}
