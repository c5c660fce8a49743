package llb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	controlapi "github.com/moby/buildkit/api/services/control"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seatrial/seatrial/hack/testenv"
)

func TestShipStartsBeforeTheVerdict(t *testing.T) {
	onEach(t, func(t *testing.T, c *client.Client) {
		shipping := make(chan struct{})
		var told []string
		opt := options(t, testenv.Dir(t, "Dockerfile", "FROM busybox\n"+nonce(t)+"\n"))
		res, err := Solve(context.Background(), c, opt, Phases{
			Try: func(ctx context.Context, tr *Trial) error {
				select {
				case <-shipping: // the image is being shipped while it is tried
				case <-ctx.Done():
					return ctx.Err()
				}
				told = append(told, "tried")
				return nil
			},
			Ship: func(ctx context.Context, s *Shipment) error {
				close(shipping)
				if err := s.Verdict(ctx); err != nil {
					return err
				}
				told = append(told, "verdict")
				return nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{"tried", "verdict"}; !slices.Equal(told, want) {
			t.Errorf("order = %q, want %q", told, want)
		}
		if res.Descriptor.Digest == "" {
			t.Error("Solve() gives no descriptor")
		}
	})
}

func TestVerdictIsTheError(t *testing.T) {
	onEach(t, func(t *testing.T, c *client.Client) {
		bad := errors.New("it leaks")
		shipping := make(chan struct{})
		var verdict error
		opt := options(t, testenv.Dir(t, "Dockerfile", "FROM busybox\nRUN true\n"))
		_, err := Solve(context.Background(), c, opt, Phases{
			Try: func(context.Context, *Trial) error { <-shipping; return bad },
			Ship: func(ctx context.Context, s *Shipment) error {
				close(shipping)
				verdict = s.Verdict(ctx)
				return verdict
			},
		})
		if !errors.Is(verdict, bad) || !errors.Is(err, bad) {
			t.Errorf("Verdict() = %v and Solve() = %v, want both to be %v", verdict, err, bad)
		}
	})
}

func TestShipErrorIsTheError(t *testing.T) {
	onEach(t, func(t *testing.T, c *client.Client) {
		bad := errors.New("the crane is broken")
		opt := options(t, testenv.Dir(t, "Dockerfile", "FROM busybox\nRUN true\n"))
		_, err := Solve(context.Background(), c, opt, Phases{
			Ship: func(context.Context, *Shipment) error { return bad },
		})
		if !errors.Is(err, bad) {
			t.Errorf("Solve() = %v, want %v", err, bad)
		}
	})
}

// TestBuildEndsWhileItIsShipped has a Ship that goes on until the daemon has written the
// build down: once nothing is read any more, it is not kept from that. Its error counts
// all the same.
func TestBuildEndsWhileItIsShipped(t *testing.T) {
	onEach(t, func(t *testing.T, c *client.Client) {
		for _, end := range []error{nil, errors.New("the crane is broken")} {
			opt := options(t, testenv.Dir(t, "Dockerfile", "FROM busybox\n"+nonce(t)+"\n"))
			_, err := Solve(context.Background(), c, opt, Phases{
				Try: func(_ context.Context, t *Trial) error { t.Remember("it floats"); return nil },
				Ship: func(ctx context.Context, s *Shipment) error {
					s.Release()
					if err := s.Verdict(ctx); err != nil {
						return err
					}
					if err := writtenDown(ctx, c, s.Descriptor.Digest); err != nil {
						return err
					}
					return end
				},
			})
			if !errors.Is(err, end) {
				t.Errorf("Solve() = %v, want %v", err, end)
			}
		}
	})
}

// writtenDown waits for an image in the daemon's history.
func writtenDown(ctx context.Context, c *client.Client, image digest.Digest) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	stream, err := c.ControlClient().ListenBuildHistory(ctx, &controlapi.BuildHistoryRequest{})
	for err == nil {
		var ev *controlapi.BuildHistoryEvent
		ev, err = stream.Recv()
		if r := ev.GetRecord(); r.GetCompletedAt() != nil && r.ExporterResponse[exptypes.ExporterImageDigestKey] == image.String() {
			return nil
		}
	}
	return err
}

// TestBlobsOutliveAPrune empties the builder's cache while the image is shipped.
func TestBlobsOutliveAPrune(t *testing.T) {
	for name, daemon := range map[string]func(*testing.T) *testenv.Daemon{
		"new": func(t *testing.T) *testenv.Daemon {
			return testenv.StartDaemon(t, testenv.DaemonOptions{Kind: testenv.Root})
		},
		"v0.31": oldDaemon,
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, daemon(t))
			opt := options(t, testenv.Dir(t, "Dockerfile", "FROM busybox\nRUN echo layer >/layer\n"))
			_, err := Solve(context.Background(), c, opt, Phases{
				Ship: func(ctx context.Context, s *Shipment) error {
					if err := c.Prune(ctx, nil, client.PruneAll); err != nil {
						return err
					}
					return readImage(ctx, s.Content, s.Descriptor)
				},
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// readImage reads a manifest and every blob that it names.
func readImage(ctx context.Context, c contentapi.ContentClient, desc ocispecs.Descriptor) error {
	dt, err := readBlob(ctx, c, desc.Digest)
	if err != nil {
		return err
	}
	var m ocispecs.Manifest
	if err := json.Unmarshal(dt, &m); err != nil {
		return err
	}
	if len(m.Layers) != 2 {
		return fmt.Errorf("the image has %d layers, want 2", len(m.Layers))
	}
	for _, l := range append(m.Layers, m.Config) {
		if _, err := readBlob(ctx, c, l.Digest); err != nil {
			return err
		}
	}
	return nil
}

func readBlob(ctx context.Context, c contentapi.ContentClient, dgst digest.Digest) ([]byte, error) {
	stream, err := c.Read(ctx, &contentapi.ReadContentRequest{Digest: dgst.String()})
	if err != nil {
		return nil, err
	}
	var out []byte
	for {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading blob %s: %w", dgst, err)
		}
		out = append(out, resp.Data...)
	}
}

// TestMaterialize ships an image whose base layers the builder never needed.
func TestMaterialize(t *testing.T) {
	c := dial(t, testenv.StartDaemon(t, testenv.DaemonOptions{Kind: testenv.Rootless}))
	opt := options(t, testenv.Dir(t, "Dockerfile", "FROM busybox\nCOPY --link a /\n", "a", ""))
	_, err := Solve(context.Background(), c, opt, Phases{
		Ship: func(ctx context.Context, s *Shipment) error {
			if err := readImage(ctx, s.Content, s.Descriptor); err == nil {
				t.Error("the base layer is there already: the test shows nothing")
			}
			if len(s.Bases) != 1 || !strings.HasSuffix(s.Bases[0].Reference, "/library/busybox:latest") || s.Bases[0].Digest == "" {
				t.Errorf("Bases = %+v, want busybox with its digest", s.Bases)
			}
			if err := s.Materialize(ctx); err != nil {
				return err
			}
			return readImage(ctx, s.Content, s.Descriptor)
		},
	})
	if err != nil {
		t.Error(err)
	}
}

// TestShippedIsShipped loses the daemon when the image is where it should be.
func TestShippedIsShipped(t *testing.T) {
	d := testenv.StartDaemon(t, testenv.DaemonOptions{Kind: testenv.Root})
	opt := options(t, testenv.Dir(t, "Dockerfile", "FROM busybox\nRUN true\n"))
	res, err := Solve(context.Background(), dial(t, d), opt, Phases{
		Ship: func(context.Context, *Shipment) error {
			d.Kill()
			return nil
		},
	})
	if err != nil {
		t.Errorf("Solve() = %v after Ship succeeded, want nil", err)
	}
	if res.Descriptor.Digest == "" {
		t.Error("Solve() gives no descriptor")
	}
}
