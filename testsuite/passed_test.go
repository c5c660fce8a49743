package testsuite

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	controlapi "github.com/moby/buildkit/api/services/control"
	"github.com/moby/buildkit/client"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/llb"
)

// TestRunIsOneRecord has a run cost the daemon one record, each of which several syncs of
// its disk: it says what the image passed, whether that is known from this run, a note, or
// the daemon, and how it was built.
func TestRunIsOneRecord(t *testing.T) {
	two := []string{"linux/amd64", "linux/386"}
	for name, test := range map[string]struct {
		dir       string
		platforms []string
		keys      []string // of the provenance
	}{
		"noted": {dir: t.TempDir(), keys: []string{""}}, "remembered": {keys: []string{""}},
		"two platforms": {platforms: two, keys: two},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, b *builder) {
				project := testenv.Dir(t, "Dockerfile", "FROM busybox\nRUN : "+t.TempDir()+"\n")
				for n := range 3 {
					suite := &Suite{Tests: []Test{{Command: "true"}}}
					ph := suite.Phases()
					ph.Ship = func(ctx context.Context, image *llb.Shipment) error { return image.Verdict(ctx) }
					res, err := llb.Solve(t.Context(), b.client, llb.Options{
						Context: project, NamedContexts: map[string]string{"busybox": "docker-image://" + b.image}, PassedDir: test.dir, Platforms: test.platforms,
					}, ph)
					if err != nil {
						t.Fatal(err)
					}
					if rep := suite.Report(res.Record); rep.Cases[0].Cached != (n > 0) {
						t.Errorf("run %d: %+v, want it cached after the first", n, rep.Cases[0])
					}
					if got := records(t, b.client, res); got != n+1 {
						t.Errorf("after run %d the daemon has %d records of %s", n, got, res.Descriptor.Digest)
					}
					p, err := llb.RecordedProvenance(t.Context(), b.client, res.Ref)
					for _, key := range test.keys {
						if err != nil || p[key] == nil {
							t.Errorf("the record has the provenance %v, %v, want one of %q", p, err, key)
						}
					}
				}
			})
		})
	}
}

// TestPassOutlivesAFailedPush runs no test again for a push that failed after it.
func TestPassOutlivesAFailedPush(t *testing.T) {
	onEach(t, func(t *testing.T, b *builder) {
		project := testenv.Dir(t, "Dockerfile", "FROM busybox\nRUN : "+t.TempDir()+"\n")
		bad := errors.New("the crane is broken")
		for _, end := range []error{bad, nil} {
			suite := &Suite{Tests: []Test{{Command: "true"}}}
			ph := suite.Phases()
			ph.Ship = func(ctx context.Context, image *llb.Shipment) error {
				if err := image.Verdict(ctx); err != nil {
					return err
				}
				return end
			}
			res, err := llb.Solve(t.Context(), b.client, llb.Options{
				Context: project, NamedContexts: map[string]string{"busybox": "docker-image://" + b.image},
			}, ph)
			if !errors.Is(err, end) {
				t.Errorf("Solve() = %v, want %v", err, end)
			}
			if rep := suite.Report(res.Record); rep.Cases[0].Cached != (end == nil) {
				t.Errorf("%+v, want it cached after the first", rep.Cases[0])
			}
		}
	})
}

// records counts the records of the daemon's history about an image: all must say what it
// passed.
func records(t *testing.T, c *client.Client, want *llb.Result) int {
	t.Helper()
	stream, err := c.ControlClient().ListenBuildHistory(t.Context(), &controlapi.BuildHistoryRequest{EarlyExit: true})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for {
		ev, err := stream.Recv()
		if err != nil {
			return n // at the end
		}
		var p llb.Passes
		_ = json.Unmarshal([]byte(ev.Record.GetExporterResponse()["seatrial.passed"]), &p)
		if p.Image == want.Passed.Image && slices.Equal(p.Marks, slices.Sorted(slices.Values(want.Passed.Marks))) {
			n++
			continue
		}
		for _, desc := range ev.Record.GetResult().GetResults() {
			if desc.Digest == want.Descriptor.Digest.String() {
				t.Errorf("the record %s is of the image, and does not say what it passed", ev.Record.Ref)
			}
		}
	}
}
