package registry_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// noStore fails the test when it is used.
type noStore struct{ t *testing.T }

func (s noStore) Open(_ context.Context, desc v1.Descriptor) (io.ReadCloser, error) {
	s.t.Errorf("blob %s did not come over a connection of its own", desc.Digest)
	return nil, errdefs.ErrNotFound
}

func (s noStore) Has(context.Context, v1.Hash) (bool, error) { return false, nil }

func TestDialContent(t *testing.T) {
	d := startDaemon(t)
	l := must(testenv.RandomImage(t, 1, 20<<20).Layers())(t)[0]
	d.addLayer(t, l)
	desc := v1.Descriptor{Digest: must(l.Digest())(t), Size: must(l.Size())(t)}
	r := must(registry.DialContent(d.dial, noStore{t}).Open(t.Context(), desc))(t)
	defer r.Close()
	if got, n, err := v1.SHA256(r); got != desc.Digest || err != nil {
		t.Errorf("reading blob: %d bytes of %s, %v, want %d of %s", n, got, err, desc.Size, desc.Digest)
	}
}

// What is small or absent is the next store's business, and so is everything where
// there is no way to dial.
func TestDialContentLeavesToNext(t *testing.T) {
	d := startDaemon(t)
	l := must(testenv.RandomImage(t, 1, 100_000).Layers())(t)[0]
	d.addLayer(t, l)
	small := v1.Descriptor{Digest: must(l.Digest())(t), Size: must(l.Size())(t)}
	absent := v1.Descriptor{Digest: v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("ab", 32)}, Size: 5 << 20}
	refuse := func(context.Context) (net.Conn, error) { return nil, errors.New("refused") }
	for name, dial := range map[string]func(context.Context) (net.Conn, error){"daemon": d.dial, "nobody": refuse, "nil": nil} {
		store := registry.DialContent(dial, registry.DaemonContent(d.client))
		r, err := store.Open(t.Context(), small)
		if err != nil {
			t.Errorf("%s: Open(small) = %v", name, err)
			continue
		}
		if got, _, err := v1.SHA256(r); got != small.Digest || err != nil {
			t.Errorf("%s: reading small blob: %s, %v, want %s", name, got, err, small.Digest)
		}
		r.Close()
		if _, err := store.Open(t.Context(), absent); !errdefs.IsNotFound(err) {
			t.Errorf("%s: Open(absent) = %v, want not found", name, err)
		}
	}
}

// The same ends as in TestDaemonContentBreaksOff, from the same server.
func TestDialContentBreaksOff(t *testing.T) {
	for _, tc := range []struct {
		end, want error
		text      string
	}{
		{status.Error(codes.Unavailable, "transport is closing"), io.ErrUnexpectedEOF, "transport is closing"},
		{nil, io.ErrUnexpectedEOF, "got 1048576 of"},
		{status.Error(codes.DataLoss, "100% of it: gone\n, für immer"), errdefs.ErrDataLoss, "100% of it: gone\n, für immer"},
	} {
		d := startDaemon(t, breaking(tc.end, func() bool { return true }))
		l := must(testenv.RandomImage(t, 1, 3<<20).Layers())(t)[0]
		d.addLayer(t, l)
		desc := v1.Descriptor{Digest: must(l.Digest())(t), Size: must(l.Size())(t)}
		r := must(registry.DialContent(d.dial, noStore{t}).Open(t.Context(), desc))(t)
		n, err := io.Copy(io.Discard, r)
		if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) || n != 1<<20 {
			t.Errorf("reading what ends with %v = %d bytes, %v, want %d, %v and %q", tc.end, n, err, 1<<20, tc.want, tc.text)
		}
		r.Close()
	}
}

func TestDialContentCancelled(t *testing.T) {
	peer := startPeer(t, func(p *peer) {
		p.begin()
		<-p.gone
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	r := must(registry.DialContent(peer.dial, noStore{t}).Open(ctx, peer.desc))(t)
	defer r.Close()
	cause := errors.New("enough")
	cancel(cause)
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, cause) {
		t.Errorf("reading with a cancelled context = %v, want its cause", err)
	}
	if _, err := registry.DialContent(peer.dial, noStore{t}).Open(ctx, peer.desc); !errors.Is(err, cause) {
		t.Errorf("opening with a cancelled context = %v, want its cause", err)
	}
}

// A daemon may be told only by the end of the connection that nobody reads on.
func TestDialContentClosed(t *testing.T) {
	peer := startPeer(t, func(p *peer) {
		p.begin()
		<-p.gone
	})
	r := must(registry.DialContent(peer.dial, noStore{t}).Open(t.Context(), peer.desc))(t)
	if err := r.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	<-peer.gone
	if _, err := r.Read(make([]byte, 1<<20)); err == nil {
		if _, err = io.Copy(io.Discard, r); err == nil {
			t.Error("reading after Close() = nil, want an error")
		}
	}
}
