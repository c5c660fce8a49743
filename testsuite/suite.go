package testsuite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/platforms"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/seatrial/seatrial/llb"
)

// DetectedStage is the name of the stage that is a test without being declared.
const DetectedStage = "test"

// mark tells the test from every other one.
func (t Test) mark() string { return "stage " + t.Stage + " command " + t.Command }

// ErrNoTests says that nothing was declared and nothing found.
var ErrNoTests = errors.New("no tests found")

// Suite is the tests of one image. Its methods are made for the fields of
// llb.Phases of the same solve; a Suite serves one solve.
type Suite struct {
	// Tests are what was declared. Without any, a stage called "test" is
	// looked for.
	Tests []Test
	// Platforms are those of the image that it is tested on. Default: all.
	Platforms []ocispecs.Platform
	// Target is the stage that is the image, "" for the last one: it is not
	// taken for a test of itself.
	Target string

	mu      sync.Mutex
	runs    []*run
	skipped []string // platforms
}

// UnknownStageError names a stage that the Dockerfile does not have.
type UnknownStageError struct {
	Stage string
	Have  []string
}

func (e *UnknownStageError) Error() string {
	have := slices.DeleteFunc(slices.Clone(e.Have), func(s string) bool { return s == "" })
	if len(have) == 0 {
		return fmt.Sprintf("no stage %q: the Dockerfile names no stages", e.Stage)
	}
	return fmt.Sprintf("no stage %q: the Dockerfile has %s", e.Stage, strings.Join(have, ", "))
}

// ErrTargetIsTest says that the image would be its own test.
var ErrTargetIsTest = errors.New("the stage that is the image cannot be its own test")

// Stages completes the suite from the Dockerfile's stages, and names those that
// its tests need. It returns ErrNoTests if there is nothing to run, an
// *UnknownStageError for a test or target that is not there, and
// ErrTargetIsTest if it cannot tell the image from its test. If have is empty
// the stages are not known, and all that are named are believed to be there.
func (s *Suite) Stages(have []string) ([]string, error) {
	if len(have) > 0 && s.Target != "" && !hasStage(have, s.Target) {
		return nil, &UnknownStageError{Stage: s.Target, Have: have}
	}
	if len(s.Tests) == 0 {
		if err := s.detect(have); err != nil {
			return nil, err
		}
	}
	var want []string
	for _, t := range s.Tests {
		if t.Stage == "" {
			continue
		}
		if len(have) > 0 && !hasStage(have, t.Stage) {
			return nil, &UnknownStageError{Stage: t.Stage, Have: have}
		}
		if strings.EqualFold(t.Stage, s.target(have)) {
			return nil, fmt.Errorf("%w: %q", ErrTargetIsTest, t.Stage)
		}
		if !slices.Contains(want, t.Stage) {
			want = append(want, t.Stage)
		}
	}
	return want, nil
}

func (s *Suite) detect(have []string) error {
	if !hasStage(have, DetectedStage) {
		return ErrNoTests
	}
	s.Tests = []Test{{Stage: DetectedStage}}
	return nil
}

// target is the name of the stage that is the image.
func (s *Suite) target(have []string) string {
	if s.Target == "" && len(have) > 0 {
		return have[len(have)-1]
	}
	return s.Target
}

// hasStage compares as Dockerfiles do, regardless of case.
func hasStage(have []string, name string) bool {
	return slices.ContainsFunc(have, func(h string) bool { return strings.EqualFold(h, name) })
}

// run is one test on one platform.
type run struct {
	test     Test
	name     string
	platform string // "" if the image is no index
	image    *llb.Stage
	graph    *llb.Graph
	err      error
	done     bool // it passed or failed, of itself
	anew     bool // it was in the cache, but for another image, and ran again
}

// Try runs every test on every platform of the image, side by side, to its end.
// If one failed it returns a *FailedError; if the builder cannot execute one, an
// *UnexecutableError, before any has run; if the image itself could not be built,
// that build's error.
func (s *Suite) Try(ctx context.Context, t *llb.Trial) error {
	runs, err := s.prepare(ctx, t)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	for _, r := range runs {
		wg.Go(func() {
			err := s.tryOne(ctx, t, r)
			s.mu.Lock()
			defer s.mu.Unlock()
			r.err = err
			r.done = err == nil || ctx.Err() == nil && isTestFailure(t, err)
		})
	}
	wg.Wait()
	return s.verdict(ctx, t)
}

// prepare makes the graphs of all tests on all platforms.
func (s *Suite) prepare(ctx context.Context, t *llb.Trial) ([]*run, error) {
	var runs []*run
	for _, test := range s.Tests {
		for _, image := range s.images(t) {
			r := &run{test: test, name: test.name(), image: image}
			if t.Index {
				r.platform = platforms.Format(image.Platform)
			}
			var err error
			if r.graph, err = test.graph(ctx, t, title(r.name, r.platform), image); err != nil {
				return nil, err
			}
			if err := executable(t, r); err != nil {
				return nil, err
			}
			runs = append(runs, r)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs, s.skipped = runs, s.untested(t)
	return runs, nil
}

func (s *Suite) tryOne(ctx context.Context, t *llb.Trial, r *run) error {
	g := r.graph
	if _, err := t.Solve(ctx, g); err != nil {
		return err
	}
	mark := r.test.mark() + " platform " + platforms.Format(r.image.Platform)
	passed, err := t.Passed(ctx, mark)
	if err != nil || passed {
		return err
	}
	// The daemon's cache knows what was run, not on what: a pass that is not
	// known to be this image's counts if it is no older than this build.
	executed, err := t.Executed(ctx, g)
	if err != nil {
		return err
	}
	if !executed {
		if err := s.runAnew(ctx, t, r); err != nil {
			return err
		}
	}
	t.Remember(mark)
	return nil
}

// runAnew runs a test whose pass is another image's.
func (s *Suite) runAnew(ctx context.Context, t *llb.Trial, r *run) error {
	s.mu.Lock()
	r.anew = true
	s.mu.Unlock()
	_, err := t.SolveAnew(ctx, r.graph)
	return err
}

func (s *Suite) verdict(ctx context.Context, t *llb.Trial) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var failed []string
	for _, r := range s.runs {
		if r.err == nil {
			continue
		}
		if !isTestFailure(t, r.err) {
			return r.err
		}
		failed = append(failed, title(r.name, r.platform))
	}
	if len(failed) > 0 {
		return &FailedError{Failed: failed, Total: len(s.runs)}
	}
	return nil
}

// FailedError says that tests ran and did not pass.
type FailedError struct {
	Failed []string // titles
	Total  int
}

func (e *FailedError) Error() string {
	if e.Total == 1 {
		return fmt.Sprintf("test %q failed", e.Failed[0])
	}
	return fmt.Sprintf("%d of %d tests failed: %s", len(e.Failed), e.Total, strings.Join(e.Failed, ", "))
}
