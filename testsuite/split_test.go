package testsuite

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/testsuite/junit"
)

// sharded runs its files, of which each says how long it took. The last one fails once.
const sharded = `set -e; cp "$SHARD_FILES" list
{ echo '<testsuite name="s">'
  for f in $(cat "$SHARD_FILES"); do echo "<testcase name='t' classname='$(echo "${f%.sh}" | tr / .).Class' time='$(cat "$f")'/>"; done
  echo '</testsuite>'; } >junit.xml
echo "shard $SHARD_INDEX of $SHARD_TOTAL"`

// shareOut runs a sharded test on files that take so many seconds, and returns the
// shards' lists and which shards were cached.
func (b *builder) shareOut(t *testing.T, dir string, files map[string]string) (lists []string, cached []bool) {
	t.Helper()
	project := []string{"Dockerfile", "FROM busybox\nWORKDIR /srv\nCOPY tests tests\n"}
	for name, seconds := range files {
		project = append(project, "tests/"+name+".sh", seconds)
	}
	suite := &Suite{ReportDir: t.TempDir(), Tests: []Test{{
		Name: "sharded", Command: sharded, Shards: 2, Split: []string{"tests/**/*.sh"}, Reports: []string{"junit.xml", "list"},
	}}}
	ph := suite.Phases()
	ph.Ship = func(ctx context.Context, image *llb.Shipment) error { return image.Verdict(ctx) }
	res, err := llb.Solve(t.Context(), b.client, llb.Options{
		Context: testenv.Dir(t, project...), NamedContexts: map[string]string{"busybox": "docker-image://" + b.image}, PassedDir: dir,
	}, ph)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range suite.Report(res.Record).Cases {
		dt, err := os.ReadFile(filepath.Join(suite.ReportDir, c.Dir, "list"))
		if err != nil {
			t.Fatal(err)
		}
		lists, cached = append(lists, strings.Join(strings.Fields(string(dt)), " ")), append(cached, c.Cached)
	}
	return lists, cached
}

// TestSplit shares files out by how long they took the last time, but not anew while
// nothing has changed.
func TestSplit(t *testing.T) {
	for name, dir := range map[string]string{"noted": t.TempDir(), "remembered": ""} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, b *builder) {
				if dir != "" {
					dir = t.TempDir()
				}
				own := filepath.Base(t.TempDir()) + strings.ReplaceAll(t.Name(), "/", "-") // no other run of this test
				files := map[string]string{own + "/a": "8", own + "/b": "1", own + "/c": "1", own + "/d": "1"}
				path := func(names string) string {
					var out []string
					for _, n := range strings.Fields(names) {
						out = append(out, "tests/"+own+"/"+n+".sh")
					}
					return strings.Join(out, " ")
				}
				expect := func(what string, cached bool, first, second string) {
					t.Helper()
					lists, got := b.shareOut(t, dir, files)
					if lists[0] != path(first) || lists[1] != path(second) || got[0] != cached || got[1] != cached {
						t.Errorf("%s: lists %q, cached %v, want %q, %q, cached: %v", what, lists, got, path(first), path(second), cached)
					}
				}
				expect("the first time", false, "a c", "b d")
				expect("unchanged", true, "a c", "b d")
				files[own+"/d"] = "1.5"
				expect("with a changed file", false, "a", "b c d")
				expect("unchanged again", true, "a", "b c d")
				maps.DeleteFunc(files, func(name, _ string) bool { return strings.HasSuffix(name, "a") })
				expect("without one of them", false, "d", "b c")
			})
		})
	}
}

// TestSplitOfTooFew has a shard that would have no files.
func TestSplitOfTooFew(t *testing.T) {
	onEach(t, func(t *testing.T, b *builder) {
		suite := &Suite{Tests: []Test{{Name: "sharded", Command: "true", Shards: 2, Split: []string{"no/*"}}}}
		rep, err := b.solve(t, "FROM busybox\n", suite)
		if err == nil || rep == nil || rep.Count(Failed) != 2 {
			t.Fatalf("Solve() = %v; %+v, want both shards to fail", err, rep)
		}
		if got, want := rep.Cases[0].Reason, "sharing out its files: 2 shards, and 0 files that match no/*"; !strings.HasPrefix(got, want) {
			t.Errorf("reason %q, want %q", got, want)
		}
	})
}

// TestSplitInTime gives the step no time at all: the limit of its test holds for it.
func TestSplitInTime(t *testing.T) {
	onEach(t, func(t *testing.T, b *builder) {
		suite := &Suite{NoCache: true, Tests: []Test{{Name: "sharded", Command: "true", Shards: 2, Split: []string{"bin/*"}, Timeout: 1}}}
		rep, err := b.solve(t, "FROM busybox\n", suite)
		if err == nil || rep == nil || rep.Count(Failed) != 2 {
			t.Fatalf("Solve() = %v; %+v, want both shards to fail", err, rep)
		}
		if got, want := rep.Cases[0].Reason, "sharing out its files: the time limit of the test is over"; got != want {
			t.Errorf("reason %q, want %q", got, want)
		}
	})
}

func TestDurations(t *testing.T) {
	files := []string{"tests/test_a.py", "spec/b_spec.rb", "src/c.test.js", "./pkg/d.py"}
	rep := &junit.Report{Suites: []junit.Suite{{Name: "src/c.test.js", Cases: []junit.Case{
		{Class: "tests.test_a.TestX", Time: time.Second}, {Class: "tests.test_a", Time: 2 * time.Second},
		{File: "./spec/b_spec.rb", Class: "b", Time: 4 * time.Second}, {File: "/srv/pkg/d.py", Time: 8 * time.Second},
		{Class: "adds two numbers", Time: 16 * time.Second},
	}}, {Name: "other", Cases: []junit.Case{{Class: "nobody", Time: time.Hour}}}}}
	want := map[string]float64{"tests/test_a.py": 3, "spec/b_spec.rb": 4, "./pkg/d.py": 8, "src/c.test.js": 16}
	if got := durations(rep, files); !maps.Equal(got, want) {
		t.Errorf("durations() = %v, want %v", got, want)
	}
}
