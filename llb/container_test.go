package llb

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/moby/buildkit/client"

	"github.com/seatrial/seatrial/hack/testenv"
)

// TestFailedStepsCanBeOpened has both builds fail, the one that exports too: neither
// may end while somebody looks at the failed step.
func TestFailedStepsCanBeOpened(t *testing.T) {
	onEach(t, func(t *testing.T, c *client.Client) {
		for name, dockerfile := range map[string]string{
			"build": "FROM busybox\n" + nonce(t) + "\nRUN echo left >/behind && exit 3\n",
			"test":  "FROM busybox AS test\n" + nonce(t) + "\nRUN echo left >/behind && exit 3\nFROM busybox\n" + nonce(t) + "\n",
		} {
			t.Run(name, func(t *testing.T) {
				var out bytes.Buffer
				calls := 0
				_, err := Solve(context.Background(), c, options(t, testenv.Dir(t, "Dockerfile", dockerfile)), Phases{
					Stages: func([]string) ([]string, error) {
						if name == "build" {
							return nil, nil
						}
						return []string{"test"}, nil
					},
					Try: func(ctx context.Context, tr *Trial) error {
						if name == "build" {
							return nil
						}
						st, err := tr.Stage("test", tr.Images[0].Platform)
						if err != nil {
							return err
						}
						g, err := tr.StageGraph(st)
						if err != nil {
							return err
						}
						_, err = tr.Solve(ctx, g)
						return err
					},
					Failed: func(ctx context.Context, tr *Trial, failed error) {
						calls++
						ctr, err := tr.OpenFailed(ctx, failed)
						if err != nil {
							t.Errorf("OpenFailed(%v) = %v", failed, err)
							return
						}
						defer ctr.Close(ctx)
						if got := strings.Join(ctr.Args, " "); got != "/bin/sh -c echo left >/behind && exit 3" {
							t.Errorf("Args = %q", got)
						}
						code, err := ctr.Run(ctx, Process{Args: []string{"sh"}, Stdin: strings.NewReader("cat /behind; exit 8"), Stdout: &out})
						if code != 8 || err != nil {
							t.Errorf("Run() = %d, %v, want 8", code, err)
						}
					},
					Ship: func(ctx context.Context, s *Shipment) error { return s.Verdict(ctx) },
				})
				if err == nil || calls != 1 || out.String() != "left\n" {
					t.Errorf("Solve() = %v after %d calls of Failed that read %q, want an error after one that read %q", err, calls, out.String(), "left\n")
				}
			})
		}
	})
}

// TestNothingToOpen is about a failure that is no command's.
func TestNothingToOpen(t *testing.T) {
	onEach(t, func(t *testing.T, c *client.Client) {
		var got error
		_, err := Solve(context.Background(), c, options(t, testenv.Dir(t, "Dockerfile", "FROM busybox\nCOPY --from=busybox /nothing /here\n")), Phases{
			Failed: func(ctx context.Context, tr *Trial, failed error) { _, got = tr.OpenFailed(ctx, failed) },
		})
		if err == nil || !errors.Is(got, ErrNotKept) {
			t.Errorf("OpenFailed() = %v after Solve() = %v, want %v", got, err, ErrNotKept)
		}
	})
}
