package testsuite

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// DetectedStage is the name of the stage that is a test without being declared.
const DetectedStage = "test"

// ErrNoTests says that nothing was declared and nothing found.
var ErrNoTests = errors.New("no tests found")

// Suite is the tests of one image. Its methods are made for the fields of
// llb.Phases of the same solve; a Suite serves one solve.
type Suite struct {
	// Tests are what was declared. Without any, a stage called "test" is
	// looked for.
	Tests []Test
	// Default has the Timeout, Retries and Reports of tests that say nothing of
	// them.
	Default Test
	// Platforms are those of the image that it is tested on. Default: all.
	Platforms []ocispecs.Platform
	// Target is the stage that is the image, "" for the last one: it is not
	// taken for a test of itself.
	Target string

	// ReportDir is a directory on this machine that gets what tests print and
	// their reports, each test in a directory of its own, which is emptied
	// first. Default: nothing is brought back.
	ReportDir string
	// Jobs is how many tests run at a time. Default: all of them.
	Jobs int
	// Timeout is how long all tests together may take, from the start of the
	// first. Default 0: no limit.
	Timeout time.Duration
	// FailFast stops the tests that still run when one has failed.
	FailFast bool
	// FailOnFlaky makes a test fail that passed only after it had failed.
	FailOnFlaky bool
	// NoCache runs tests that have passed on this image before, too.
	NoCache bool
	// Redact is given what is brought back, piece by piece, and returns what may
	// be kept of it. Default: all of it.
	Redact func([]byte) []byte

	shelf   shelf
	mu      sync.Mutex
	began   time.Time     // the first test
	took    time.Duration // all of them
	runs    []*run
	skipped []string // platforms
}

// Another is a suite of the same tests, for another solve.
func (s *Suite) Another() *Suite {
	return &Suite{
		Tests: slices.Clone(s.Tests), Default: s.Default, Platforms: s.Platforms, Target: s.Target, ReportDir: s.ReportDir, Jobs: s.Jobs,
		Timeout: s.Timeout, FailFast: s.FailFast, FailOnFlaky: s.FailOnFlaky, NoCache: s.NoCache, Redact: s.Redact,
	}
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
	if err := s.Validate(); err != nil {
		return nil, err
	}
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
		if t.Stage != "" && strings.EqualFold(t.Stage, s.target(have)) {
			return nil, fmt.Errorf("%w: %q", ErrTargetIsTest, t.Stage)
		}
		for _, stage := range t.stages() {
			if len(have) > 0 && !hasStage(have, stage) {
				return nil, &UnknownStageError{Stage: stage, Have: have}
			}
			if !slices.Contains(want, stage) {
				want = append(want, stage)
			}
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

// FailedError says that tests ran and did not pass.
type FailedError struct {
	Failed []string // titles
	Total  int
	// Full are filesystems that had no room left in those that failed.
	Full []Volume
}

func (e *FailedError) Error() string {
	if e.Total == 1 {
		return fmt.Sprintf("test %q failed", e.Failed[0])
	}
	return fmt.Sprintf("%d of %d tests failed: %s", len(e.Failed), e.Total, strings.Join(e.Failed, ", "))
}
