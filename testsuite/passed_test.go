package testsuite

import (
	"context"
	"encoding/json"
	"testing"

	controlapi "github.com/moby/buildkit/api/services/control"
	"github.com/moby/buildkit/client"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/llb"
)

// TestPassIsWrittenDownOnce has what has not changed cost the daemon no record, whether
// the pass is known from a note or from the daemon.
func TestPassIsWrittenDownOnce(t *testing.T) {
	for name, dir := range map[string]string{"noted": t.TempDir(), "remembered": ""} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, b *builder) {
				project := testenv.Dir(t, "Dockerfile", "FROM busybox\nRUN : "+t.TempDir()+"\n")
				var passed llb.Passes
				for n := range 3 {
					suite := &Suite{Tests: []Test{{Command: "true"}}}
					ph := suite.Phases()
					ph.Ship = func(ctx context.Context, image *llb.Shipment) error { return image.Verdict(ctx) }
					res, err := llb.Solve(t.Context(), b.client, llb.Options{
						Context: project, NamedContexts: map[string]string{"busybox": "docker-image://" + b.image}, PassedDir: dir,
					}, ph)
					if err != nil {
						t.Fatal(err)
					}
					if rep := suite.Report(res.Record); rep.Cases[0].Cached != (n > 0) {
						t.Errorf("run %d: %+v, want it cached after the first", n, rep.Cases[0])
					}
					passed = res.Passed
				}
				if n := records(t, b.client, passed); n > 1 {
					t.Errorf("the daemon has %d records of what %s passed, want one at most", n, passed.Image)
				}
			})
		})
	}
}

// records counts the records of the daemon's history that say what an image passed.
func records(t *testing.T, c *client.Client, want llb.Passes) int {
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
		if json.Unmarshal([]byte(ev.Record.GetExporterResponse()["seatrial.passed"]), &p) == nil && p.Image == want.Image {
			n++
		}
	}
}
