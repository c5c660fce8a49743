package testsuite

import (
	"context"
	"errors"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/moby/buildkit/client"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/testsuite/helper"
)

// torn is a store whose large blobs end after a part.
type torn struct{ content.Store }

type tornReader struct{ content.ReaderAt }

func (s torn) ReaderAt(ctx context.Context, desc ocispecs.Descriptor) (content.ReaderAt, error) {
	r, err := s.Store.ReaderAt(ctx, desc)
	return tornReader{r}, err
}

func (r tornReader) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > 2<<20 {
		return 0, errors.New("torn")
	}
	return r.ReaderAt.ReadAt(p, off)
}

// TestHelperThatWasFetchedInPart has a daemon interrupted while it fetches the helper,
// after which it cannot fetch that blob.
func TestHelperThatWasFetchedInPart(t *testing.T) {
	for _, kind := range []testenv.Kind{testenv.Root, testenv.Rootless} {
		t.Run(kind.String(), func(t *testing.T) {
			// One of its own: no other test is to find the half.
			c, err := client.New(t.Context(), testenv.StartDaemon(t, testenv.DaemonOptions{Kind: kind}).Addr)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
			b := &builder{client: c, image: testenv.Push(t, reg.Host+"/library/busybox", testenv.BusyboxImage(t)).String()}

			// A daemon drops such a part when it collects garbage: a second after its
			// start, and then for a minute no more.
			for variant := range 5 {
				if fetchedAfterTear(t, b, variant) > variant {
					return
				}
			}
			t.Error("the helper could always be fetched as it was: nothing was interrupted here")
		})
	}
}

// fetchedAfterTear is the variant of the helper that a test is run with after the fetch of
// another, which is given, was interrupted.
func fetchedAfterTear(t *testing.T, b *builder, variant int) int {
	t.Helper()
	broken := &Suite{Tests: []Test{{Command: "true"}}, shelf: shelf{variant: variant}}
	ph := broken.Phases()
	ph.Gear.Stores[helper.StoreID] = torn{ph.Gear.Stores[helper.StoreID]}
	opt := llb.Options{Context: testenv.Dir(t, "Dockerfile", "FROM busybox\n"), NamedContexts: map[string]string{"busybox": "docker-image://" + b.image}}
	if _, err := llb.Solve(t.Context(), b.client, opt, ph); err == nil {
		t.Fatal("Solve() with half a helper = nil, want an error")
	}
	suite := &Suite{Tests: []Test{{Command: "true"}}, shelf: shelf{variant: variant}}
	if rep, err := b.solve(t, "FROM busybox\n", suite); err != nil {
		t.Fatalf("Solve() after that = %v; %+v", err, rep)
	}
	return suite.runs[0].variant
}
