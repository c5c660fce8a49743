package testsuite

import (
	"errors"
	"fmt"
	"time"

	"github.com/moby/buildkit/solver/errdefs"

	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/testsuite/junit"
)

// Status is what became of a test.
type Status string

// The outcomes of a test.
const (
	Passed Status = "passed"
	Failed Status = "failed"
	// Interrupted is a test that had begun and was not over when its suite was stopped,
	// or the builder lost.
	Interrupted Status = "interrupted"
	// NotRun is a test that never started, because the build ended before it.
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
	// ServiceOutput is the end of what services printed that failed.
	ServiceOutput []byte
	// Sources are the Dockerfile's lines that failed, if it is a stage.
	Sources []*errdefs.Source

	// Shard and Shards are which part of the test it is, from 1, and of how
	// many; 0 if it is whole.
	Shard, Shards int
	// Attempts is how often it was tried. Flaky tells that it passed, but not
	// at the first attempt.
	Attempts int
	Flaky    bool
	// TimedOut tells that it was ended because its time was over.
	TimedOut bool
	// Ran is when a cached test ran; zero if that is not known.
	Ran time.Time
	// Results are what its own reports say; nil if it has none.
	Results *junit.Report
	// Dir is its directory in Suite.ReportDir, "" if nothing was brought back,
	// and Files are the reports in it.
	Dir   string
	Files []string
	// Warnings are about reports: patterns that matched nothing, what could
	// not be brought back, or not be read.
	Warnings []string

	started, ended time.Time
	within         time.Duration // in which its suite was tried, by our clock
}

// Title is the name, shortened, with the platform.
func (c Case) Title() string {
	s := title(c.Name, c.Platform)
	if c.Shard > 0 {
		s += fmt.Sprintf(" [%d/%d]", c.Shard, c.Shards)
	}
	return s
}

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
	var within time.Duration
	for _, c := range r.Cases {
		within = max(within, c.within)
		if !c.started.IsZero() && (started.IsZero() || c.started.Before(started)) {
			started = c.started
		}
		if c.ended.After(ended) {
			ended = c.ended
		}
	}
	// A step that another build has begun, as that which loads the helper, has the
	// times of that build.
	return max(0, min(ended.Sub(started), within))
}

// Report tells what became of the suite, once its solve is over; rec is that
// solve's record. What a test printed that was stopped is written to ReportDir now.
func (s *Suite) Report(rec *llb.Record) *Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	rep := &Report{Untested: s.skipped}
	for _, r := range s.runs {
		err := s.bringPrinted(r, rec)
		c := r.report(rec)
		if err != nil {
			c.warn("%v", err)
		}
		c.within = s.took
		rep.Cases = append(rep.Cases, c)
	}
	return rep
}

func (r *run) report(rec *llb.Record) Case {
	c := Case{Name: r.name, Platform: r.platform, Status: NotRun, ExitCode: -1, Attempts: r.attempts}
	if r.shard > 0 {
		c.Shard, c.Shards = r.shard, r.test.Shards
	}
	switch {
	case r.done && r.err == nil:
		c.Status, c.ExitCode = Passed, 0
		c.Flaky = len(r.failed) > 0
	case r.done:
		c.Status, c.ExitCode = Failed, exitCode(r.err)
		var flaky *FlakyError
		c.Flaky = errors.As(r.err, &flaky)
	case !r.began.IsZero() || len(r.failed) > 0:
		c.Status = Interrupted
	}
	c.Sources = errdefs.Sources(r.err)
	if r.graph != nil {
		last := llb.Vertex{}
		for _, dgst := range r.graph.Vertices {
			last = rec.Vertex(dgst)
			c.add(last)
		}
		c.Cached = c.Status == Passed && last.Cached && !r.anew && r.test.Structure == nil
	}
	if r.trace != nil {
		c.trace(r)
	}
	if c.Status == Failed {
		c.Reason = r.reason()
		if list := r.full(); len(list) > 0 && list[0].Path != "" {
			c.Reason += ": " + list[0].String() + " is full"
		}
	}
	return c
}

// trace adds what the last attempt left behind.
func (c *Case) trace(r *run) {
	tr := r.trace
	c.Cached = c.Cached || c.Status == Passed && tr.cached
	c.Duration += tr.took
	c.Results, c.Dir, c.Files, c.TimedOut = tr.report, tr.dir, tr.files, tr.timedOut
	if c.Cached {
		c.Ran = tr.started
	}
	if len(tr.tail) > 0 && c.Status == Failed {
		c.Output.Log = tr.tail
	}
	c.ServiceOutput = tr.serviceTail
	if c.ExitCode < 0 && tr.code >= 0 {
		c.ExitCode = tr.code // of a test that its reports, or flakiness, failed
	}
	for _, p := range tr.unmatched {
		c.warn("no file matches the report %s", p)
	}
	for _, p := range tr.skipped {
		c.warn("the report %s is no file", p)
	}
	for _, p := range tr.problems {
		c.warn("report %s: %v", p.File, p.Err)
	}
	if tr.lost != "" {
		c.warn("reports were lost: %s", tr.lost)
	}
	if tr.truncated != "" {
		c.warn("its output is not complete: %s", tr.truncated)
	}
}

func (c *Case) warn(format string, args ...any) {
	c.Warnings = append(c.Warnings, fmt.Sprintf(format, args...))
}

// reason is why a test failed, in a few words.
func (r *run) reason() string {
	tr := r.trace
	if tr == nil {
		tr = &trace{}
	}
	if tr.timedOut {
		if r.test.Timeout > 0 {
			return fmt.Sprintf("not over after %s, its time limit", r.test.Timeout)
		}
		return "not over when the time for all tests was"
	}
	if n, total := tr.failedCases(); n > 0 && exitCode(r.err) >= 0 {
		return fmt.Sprintf("%d failed of %d (exit code %d)", n, total, exitCode(r.err))
	}
	if tr.service != "" {
		return tr.ofService()
	}
	if tr.said != "" {
		return tr.said
	}
	switch code := exitCode(r.err); {
	case code > 128 && code < 128+65:
		return fmt.Sprintf("exit code %d (signal %d)", code, code-128)
	case code >= 0:
		return fmt.Sprintf("exit code %d", code)
	default:
		return Plain(r.err.Error())
	}
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
