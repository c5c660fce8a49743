package testsuite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/containerd/platforms"
	digest "github.com/opencontainers/go-digest"

	"github.com/seatrial/seatrial/llb"
)

// run is one test on one platform, or one shard of it.
type run struct {
	test     Test
	name     string
	platform string // "" if the image is no index
	shard    int    // from 1; 0 if there is one only
	image    *llb.Stage
	split    *split // nil: its files are not shared out
	files    []string
	services []*service
	view     viewpoint  // of its commands
	graph    *llb.Graph // of the last attempt
	rings    *rings     // of its last solve, with services
	dir      string     // its name in Suite.ReportDir

	began    time.Time // its first command, in this attempt
	asked    int       // how often a command has asked for its time limit, in the last solve
	ranNow   bool      // the last solve has executed its only command
	err      error
	variant  int  // of the helper
	done     bool // it passed or failed, of itself
	anew     bool // it was in the cache, but for another image, and ran again
	attempts int
	failed   []error // those of earlier attempts
	trace    *trace  // of the last attempt
}

func (r *run) title() string { return title(r.name, r.platform) + r.shardSuffix() }

func (r *run) shardSuffix() string {
	if r.shard == 0 {
		return ""
	}
	return fmt.Sprintf(" [%d/%d]", r.shard, r.test.Shards)
}

// errFailFast stops tests because another one has failed.
var errFailFast = errors.New("another test has failed")

// Try runs every test on every platform of the image, side by side, to its end.
// If one failed it returns a *FailedError; if the builder cannot execute one, an
// *UnexecutableError, before any has run; if the image itself could not be built,
// that build's error.
func (s *Suite) Try(ctx context.Context, t *llb.Trial) error {
	runs, err := s.prepare(ctx, t)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.began = time.Now()
	s.mu.Unlock()
	jobs := s.Jobs
	if jobs <= 0 {
		jobs = len(runs)
	}
	slots := make(chan struct{}, jobs)
	trying, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	for _, r := range runs {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			err := s.tryOne(trying, t, r)
			s.mu.Lock()
			defer s.mu.Unlock()
			r.err = err
			r.done = err == nil || trying.Err() == nil && isTestFailure(t, err)
			if r.done && err != nil && s.FailFast {
				stop(errFailFast)
			}
		})
	}
	wg.Wait()
	s.mu.Lock()
	s.took = time.Since(s.began)
	s.mu.Unlock()
	s.noteDurations(t)
	return s.verdict(ctx, t)
}

// tryOne tries a test as often as it may fail.
func (s *Suite) tryOne(ctx context.Context, t *llb.Trial, r *run) error {
	if err := s.shareOut(ctx, t, r); err != nil {
		return err
	}
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err := s.attempt(ctx, t, r)
		r.attempts++
		switch {
		case err == nil && len(r.failed) > 0 && s.FailOnFlaky:
			return &FlakyError{Attempts: r.attempts}
		case err == nil, ctx.Err() != nil, !isTestFailure(t, err), r.attempts > r.test.Retries, s.overtime():
			return err
		}
		r.failed = append(r.failed, err)
		again, aerr := t.Again(r.graph, err, r.attempts+1)
		if aerr != nil {
			return aerr
		}
		s.mu.Lock()
		r.graph, r.began = again, time.Time{}
		s.mu.Unlock()
	}
}

// attempt tries a test once. What it left behind is brought back whatever came of it.
func (s *Suite) attempt(ctx context.Context, t *llb.Trial, r *run) error {
	if r.test.Structure != nil {
		return s.attemptStructure(ctx, t, r)
	}
	solve := t.Solve
	if s.NoCache {
		s.mu.Lock()
		r.anew = true
		s.mu.Unlock()
		solve = t.SolveAnew
	}
	ref, err := s.solve(ctx, t, r, solve)
	for try := 0; err != nil && strings.Contains(err.Error(), errUnfetchable) && try < maxVariants; try++ {
		s.shelf.next(r.variant)
		if berr := s.build(ctx, t, r); berr != nil {
			return berr
		}
		ref, err = s.solve(ctx, t, r, solve)
	}
	defer func() { r.discard() }()
	tr, terr := s.trace(ctx, t, r, ref, err)
	if terr != nil {
		return errors.Join(err, terr)
	}
	if err == nil {
		mark := r.mark(t, tr)
		if err = s.confirm(ctx, t, r, mark); errors.Is(err, errElsewhere) {
			s.mu.Lock()
			r.anew = true
			s.mu.Unlock()
			ref, err = s.solve(ctx, t, r, t.SolveAnew)
			if tr, terr = s.trace(ctx, t, r, ref, err); terr != nil {
				return errors.Join(err, terr)
			}
			mark = r.mark(t, tr)
		}
		if err == nil {
			if err = tr.verdict(); err == nil {
				s.measure(r, tr)
				t.Remember(mark)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r.trace = tr
	return err
}

// maxVariants is how many variants of the helper are tried.
const maxVariants = 5

// errElsewhere says that a test has passed, but not on this image.
var errElsewhere = errors.New("passed on another image")

// confirm makes sure that a pass is this image's. The daemon's cache knows what was
// run, not on what: a pass that is not known to be this image's counts if it is no
// older than this build.
func (s *Suite) confirm(ctx context.Context, t *llb.Trial, r *run, mark string) error {
	if s.NoCache || r.ranNow {
		return nil
	}
	passed, err := t.Passed(ctx, mark)
	if err != nil || passed {
		return err
	}
	executed, err := t.Executed(ctx, r.graph)
	if err == nil && !executed {
		err = errElsewhere
	}
	return err
}

// mark names this pass of the test for the daemon's memory. Where the helper has run
// it, that is the very time it ran, whose outcome the cache has: the same test with
// other files would be another. Structure tests are what they are by their file.
func (r *run) mark(t *llb.Trial, tr *trace) string {
	if tr.id != "" {
		return digest.FromString("run " + tr.id).String()
	}
	mark := r.test.mark() + r.shardSuffix() + " platform " + platforms.Format(r.image.Platform)
	if r.test.Structure != nil {
		return digest.FromString(mark).String()
	}
	return t.Mark(mark)
}

func (s *Suite) verdict(ctx context.Context, t *llb.Trial) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var failed []string
	var full []Volume
	var other error
	for _, r := range s.runs {
		switch {
		case r.err == nil:
		case r.done && isTestFailure(t, r.err):
			failed, full = append(failed, r.title()), append(full, r.full()...)
		case other == nil:
			other = r.err
		}
	}
	switch {
	case len(failed) > 0 && (other == nil || s.FailFast): // the others were told to stop
		return &FailedError{Failed: failed, Total: len(s.runs), Full: full}
	default:
		return other
	}
}

// FlakyError says that a test passed only after it had failed.
type FlakyError struct{ Attempts int }

func (e *FlakyError) Error() string {
	return fmt.Sprintf("flaky: it passed at attempt %d only", e.Attempts)
}
