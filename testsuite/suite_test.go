package testsuite

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/client"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/llb"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestStages(t *testing.T) {
	for _, test := range []struct {
		name  string
		suite *Suite
		have  []string
		want  []string
		tests []string
		err   error
	}{
		{name: "found", have: []string{"base", "test", ""}, want: []string{"test"}, tests: []string{"test"}},
		{name: "none", have: []string{"base", ""}, err: ErrNoTests},
		{name: "no stages", have: nil, err: ErrNoTests},
		{name: "last", have: []string{"base", "test"}, err: ErrTargetIsTest},
		{name: "last, but a target", suite: &Suite{Target: "BASE"}, have: []string{"base", "test"}, want: []string{"test"}, tests: []string{"test"}},
		{name: "command", suite: &Suite{Tests: []Test{{Command: "go  test\n./..."}}}, have: []string{"", "test"}, tests: []string{"go test ./..."}},
		{name: "the target", suite: &Suite{Target: "Test"}, have: []string{"base", "test", ""}, err: ErrTargetIsTest},
		{name: "the last, named", suite: &Suite{Tests: []Test{{Stage: "app"}}}, have: []string{"base", "APP"}, err: ErrTargetIsTest},
		{name: "twice", suite: &Suite{Tests: []Test{{Stage: "a"}, {Stage: "a"}}}, have: []string{"a", ""}, want: []string{"a"}, tests: []string{"a", "a"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.suite == nil {
				test.suite = &Suite{}
			}
			got, err := test.suite.Stages(test.have)
			if !errors.Is(err, test.err) {
				t.Fatalf("Stages(%q) = %v, want %v", test.have, err, test.err)
			}
			if err != nil {
				return
			}
			var tests []string
			for _, x := range test.suite.Tests {
				tests = append(tests, x.name())
			}
			if !slices.Equal(got, test.want) || !slices.Equal(tests, test.tests) {
				t.Errorf("Stages(%q) = %q with tests %q, want %q with %q", test.have, got, tests, test.want, test.tests)
			}
		})
	}
}

func TestStagesThatAreNotThere(t *testing.T) {
	for _, suite := range []*Suite{{Target: "nope"}, {Tests: []Test{{Stage: "nope"}}}} {
		_, err := suite.Stages([]string{"base", "", "test"})
		var unknown *UnknownStageError
		if !errors.As(err, &unknown) || unknown.Stage != "nope" {
			t.Fatalf("Stages() = %v, want an *UnknownStageError for nope", err)
		}
		if want := `no stage "nope": the Dockerfile has base, test`; err.Error() != want {
			t.Errorf("Stages() = %q, want %q", err, want)
		}
	}
}

// builder is a buildkitd with the image busybox.
type builder struct {
	client *client.Client
	addr   string
	image  string
}

func onEach(t *testing.T, f func(t *testing.T, b *builder)) {
	onDaemons(t, testenv.SharedDaemon, f)
}

// onEachOwn is onEach with daemons that nobody else has used.
func onEachOwn(t *testing.T, f func(t *testing.T, b *builder)) {
	onDaemons(t, func(t testing.TB, kind testenv.Kind) *testenv.Daemon {
		return testenv.StartDaemon(t, testenv.DaemonOptions{Kind: kind})
	}, f)
}

func onDaemons(t *testing.T, start func(testing.TB, testenv.Kind) *testenv.Daemon, f func(t *testing.T, b *builder)) {
	for _, kind := range []testenv.Kind{testenv.Root, testenv.Rootless} {
		t.Run(kind.String(), func(t *testing.T) {
			addr := start(t, kind).Addr
			c, err := client.New(context.Background(), addr)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
			ref := testenv.Push(t, reg.Host+"/library/busybox", testenv.BusyboxImage(t))
			f(t, &builder{client: c, addr: addr, image: ref.String()})
		})
	}
}

// solve builds a Dockerfile and runs the suite on it.
func (b *builder) solve(t *testing.T, dockerfile string, s *Suite) (*Report, error) {
	t.Helper()
	return b.solveWith(t, llb.Options{}, dockerfile, s)
}

func (b *builder) solveWith(t *testing.T, opt llb.Options, dockerfile string, s *Suite) (*Report, error) {
	t.Helper()
	return b.solveIn(context.Background(), t, opt, dockerfile, s)
}

func (b *builder) solveIn(ctx context.Context, t *testing.T, opt llb.Options, dockerfile string, s *Suite) (*Report, error) {
	t.Helper()
	opt.Context = testenv.Dir(t, "Dockerfile", dockerfile)
	if opt.NamedContexts == nil {
		opt.NamedContexts = map[string]string{}
	}
	opt.NamedContexts["busybox"] = "docker-image://" + b.image
	ph := s.Phases()
	ph.Ship = func(ctx context.Context, image *llb.Shipment) error { return image.Verdict(ctx) }
	res, err := llb.Solve(ctx, b.client, opt, ph)
	return s.Report(res.Record), err
}

// TestNoCacheTestsAnew builds an image that is another one each time, from steps
// that are the same: a test that passed before passed on another image.
func TestNoCacheTestsAnew(t *testing.T) {
	onEach(t, func(t *testing.T, b *builder) {
		dockerfile := "FROM busybox AS app\nRUN cat /proc/sys/kernel/random/uuid >/id # " + t.TempDir() + "\nFROM app AS test\nRUN test -s /id\nFROM app\n"
		for range 2 {
			suite := &Suite{Tests: []Test{{Stage: "test"}, {Command: "test -s /id"}}}
			rep, err := b.solveWith(t, llb.Options{NoCache: true}, dockerfile, suite)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range rep.Cases {
				if c.Cached {
					t.Errorf("test %q on an image built without cache = %+v, want it run", c.Name, c)
				}
			}
		}
	})
}

func TestCommandHasTheImagesSurroundings(t *testing.T) {
	onEach(t, func(t *testing.T, b *builder) {
		dockerfile := "FROM busybox\nENV HULL=\"steel and $ oak\"\nWORKDIR /deck\nUSER app\nENTRYPOINT [\"false\"]\nCMD [\"false\"]\n"
		rep, err := b.solve(t, dockerfile, &Suite{Tests: []Test{
			{Command: `test "$HULL" = 'steel and $ oak'`},
			{Command: `test "$(pwd)" = /deck`},
			{Command: `test "$(id -un)" = app`},
		}})
		if err != nil {
			t.Errorf("Solve() = %v; report %+v", err, rep)
		}
	})
}

func TestCommandUsesTheImagesShell(t *testing.T) {
	onEach(t, func(t *testing.T, b *builder) {
		dockerfile := "FROM busybox\nSHELL [\"/bin/sh\", \"-e\", \"-c\"]\n"
		_, err := b.solve(t, dockerfile, &Suite{Tests: []Test{{Command: "false; true"}}})
		var failed *FailedError
		if !errors.As(err, &failed) {
			t.Errorf("Solve() = %v, want a failed test: the shell has -e", err)
		}
	})
}

// TestAllRunAndEachIsReported has two failures and a pass that takes longer.
func TestAllRunAndEachIsReported(t *testing.T) {
	onEach(t, func(t *testing.T, b *builder) {
		suite := &Suite{Tests: []Test{
			{Name: "three", Command: "echo to stdout; echo to stderr >&2; exit 3"},
			{Name: "slow", Command: "sleep 0.5 && : " + t.TempDir()},
			{Name: "killed", Command: "sh -c 'kill -9 $$'; exit $?"},
			{Stage: "lint"},
		}}
		rep, err := b.solve(t, "FROM busybox AS base\nFROM base AS lint\nRUN exit 4\nFROM base\n", suite)
		var failed *FailedError
		if !errors.As(err, &failed) || !slices.Equal(failed.Failed, []string{"three", "killed", "lint"}) || failed.Total != 4 {
			t.Fatalf("Solve() = %v, want three, killed and lint to have failed of 4", err)
		}
		three, slow, killed, lint := rep.Cases[0], rep.Cases[1], rep.Cases[2], rep.Cases[3]
		if three.Status != Failed || three.ExitCode != 3 || three.Reason != "exit code 3" {
			t.Errorf("three = %+v, want exit code 3", three)
		}
		if log := string(three.Output.Log); !strings.Contains(log, "to stdout\n") || !strings.Contains(log, "to stderr\n") {
			t.Errorf("output of three = %q, want both streams", log)
		}
		if slow.Status != Passed || slow.Cached || slow.Duration == 0 {
			t.Errorf("slow = %+v, want it passed after a while", slow)
		}
		if killed.ExitCode != 137 || killed.Reason != "exit code 137 (signal 9)" {
			t.Errorf("killed = %+v, want signal 9", killed)
		}
		if lint.ExitCode != 4 || len(lint.Sources) != 1 {
			t.Errorf("lint = %+v, want exit code 4 and the Dockerfile's line", lint)
		}
		if got := rep.Count(Failed); got != 3 {
			t.Errorf("Count(Failed) = %d, want 3", got)
		}
	})
}

func TestPassedIsCachedAndFailedIsNot(t *testing.T) {
	onEach(t, func(t *testing.T, b *builder) {
		dockerfile := "FROM busybox\nRUN : " + t.TempDir() + "\n"
		twice := func(command string) (first, second Case) {
			suite := func() *Suite { return &Suite{Tests: []Test{{Command: command}}} }
			one, _ := b.solve(t, dockerfile, suite())
			two, _ := b.solve(t, dockerfile, suite())
			return one.Cases[0], two.Cases[0]
		}
		if first, second := twice("echo good"); first.Cached || !second.Cached || second.Status != Passed {
			t.Errorf("the test that passes = %+v, then %+v, want it cached the second time", first, second)
		}
		if _, second := twice("echo bad; exit 1"); second.Status != Failed || !strings.Contains(string(second.Output.Log), "bad\n") {
			t.Errorf("the test that fails, the second time = %+v, want it run again", second)
		}
	})
}

func TestBrokenImageIsNoFailedTest(t *testing.T) {
	onEach(t, func(t *testing.T, b *builder) {
		rep, err := b.solve(t, "FROM busybox\nRUN exit 9\n", &Suite{Tests: []Test{{Command: "true"}}})
		var failed *FailedError
		if err == nil || errors.As(err, &failed) {
			t.Fatalf("Solve() = %v, want the build's error", err)
		}
		if rep.Cases[0].Status != NotRun {
			t.Errorf("the test = %+v, want it not run", rep.Cases[0])
		}
	})
}

// TestOutputTailIsTheEnd prints more than is kept.
func TestOutputTailIsTheEnd(t *testing.T) {
	onEach(t, func(t *testing.T, b *builder) {
		rep, _ := b.solve(t, "FROM busybox\n", &Suite{Tests: []Test{{Command: "i=0; while [ $i -lt 3000 ]; do echo line $i of what is printed; i=$((i+1)); done; exit 1"}}})
		var out strings.Builder
		if err := rep.Cases[0].Output.PrintLog(&out, 2); err != nil {
			t.Fatal(err)
		}
		if want := "line 2998 of what is printed\nline 2999 of what is printed\n"; out.String() != want {
			t.Errorf("the last 2 lines = %q, want %q", out.String(), want)
		}
	})
}

// TestStagesUnknown is a Dockerfile whose stages nobody can tell.
func TestStagesUnknown(t *testing.T) {
	suite := &Suite{Target: "app", Tests: []Test{{Stage: "smoke"}}}
	if got, err := suite.Stages(nil); err != nil || !slices.Equal(got, []string{"smoke"}) {
		t.Errorf("Stages(nil) = %q, %v, want what was named", got, err)
	}
}

// TestDurationOfASharedStep has a step that another build began an hour before.
func TestDurationOfASharedStep(t *testing.T) {
	end := time.Now()
	rep := &Report{Cases: []Case{
		{started: end.Add(-time.Hour), ended: end, within: 2 * time.Second},
		{started: end.Add(-time.Second), ended: end, within: 3 * time.Second}, // of another builder
	}}
	if got, want := rep.Duration(), 3*time.Second; got != want {
		t.Errorf("Duration() = %s, want %s", got, want)
	}
	rep.Cases = rep.Cases[1:]
	if got, want := rep.Duration(), time.Second; got != want {
		t.Errorf("Duration() = %s, want %s", got, want)
	}
}
