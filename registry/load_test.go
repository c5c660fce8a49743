package registry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

func TestLoadImage(t *testing.T) {
	d := startDaemon(t)
	want := testenv.RandomImage(t, 3, 100_000)
	a := d.load(t, d.add(t, want), registry.LoadOptions{})
	img, ok := a.(v1.Image)
	if !ok {
		t.Fatalf("Load = %T, want a v1.Image", a)
	}
	if err := validate.Image(img); err != nil {
		t.Errorf("validating loaded image: %v", err)
	}
	if got, want := must(img.Digest())(t), must(want.Digest())(t); got != want {
		t.Errorf("digest of loaded image = %s, want %s", got, want)
	}
}

func TestLoadIndex(t *testing.T) {
	d := startDaemon(t)
	want := newIndex(t)
	a := d.load(t, d.addIndex(t, want), registry.LoadOptions{})
	idx, ok := a.(v1.ImageIndex)
	if !ok {
		t.Fatalf("Load = %T, want a v1.ImageIndex", a)
	}
	if err := validate.Index(idx); err != nil {
		t.Errorf("validating loaded index: %v", err)
	}
}

func TestLoadWithoutConfig(t *testing.T) {
	d := startDaemon(t)
	desc := d.addManifest(t, testenv.RandomImage(t, 1, 1000))
	_, err := registry.Load(t.Context(), registry.DaemonContent(d.client), desc, registry.LoadOptions{})
	if !errors.Is(err, registry.ErrBlobMissing) {
		t.Errorf("Load of an image without its config = %v, want ErrBlobMissing", err)
	}
}

// lyingStore gives the same bytes for all blobs.
type lyingStore string

func (s lyingStore) Open(context.Context, v1.Descriptor) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(string(s))), nil
}

func (s lyingStore) Has(context.Context, v1.Hash) (bool, error) { return true, nil }

func TestLoadVerifies(t *testing.T) {
	desc := startDaemon(t).addManifest(t, testenv.RandomImage(t, 1, 1000))
	_, err := registry.Load(t.Context(), lyingStore("{}"), desc, registry.LoadOptions{})
	if err == nil || !strings.Contains(err.Error(), "hashes to") {
		t.Errorf("Load of a manifest with other content = %v, want an error about its hash", err)
	}
}

func TestDaemonContent(t *testing.T) {
	d := startDaemon(t)
	store := registry.DaemonContent(d.client)
	l := must(testenv.RandomImage(t, 1, 3<<20).Layers())(t)[0]
	desc := v1.Descriptor{Digest: must(l.Digest())(t), Size: must(l.Size())(t)}

	if has, err := store.Has(t.Context(), desc.Digest); has || err != nil {
		t.Errorf("Has(absent) = %v, %v, want false", has, err)
	}
	if _, err := store.Open(t.Context(), desc); !errdefs.IsNotFound(err) {
		t.Errorf("Open(absent) = %v, want not found", err)
	}
	d.addLayer(t, l)
	if has, err := store.Has(t.Context(), desc.Digest); !has || err != nil {
		t.Errorf("Has(present) = %v, %v, want true", has, err)
	}
	r := must(store.Open(t.Context(), desc))(t)
	defer r.Close()
	if got, n, err := v1.SHA256(r); got != desc.Digest || err != nil {
		t.Errorf("reading blob: %d bytes of %s, %v, want %d of %s", n, got, err, desc.Size, desc.Digest)
	}
}

func TestDaemonContentOfNoBytes(t *testing.T) {
	d := startDaemon(t)
	h, _, _ := v1.SHA256(strings.NewReader(""))
	d.write(t, h, nil)
	r := must(registry.DaemonContent(d.client).Open(t.Context(), v1.Descriptor{Digest: h}))(t)
	if b, err := io.ReadAll(r); len(b) != 0 || err != nil {
		t.Errorf("reading empty blob = %d bytes, %v", len(b), err)
	}
}

// breaking ends streams of blobs with err after one message, as long as it is
// asked to.
func breaking(err error, again func() bool) grpc.ServerOption {
	return grpc.StreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		if !again() {
			return next(srv, ss)
		}
		if stop := next(srv, &oneMessage{ServerStream: ss}); errors.Is(stop, errStop) {
			return err
		}
		return err
	})
}

var errStop = errors.New("stop")

type oneMessage struct {
	grpc.ServerStream
	sent bool
}

func (s *oneMessage) SendMsg(m any) error {
	if s.sent {
		return errStop
	}
	s.sent = true
	return s.ServerStream.SendMsg(m)
}

func TestDaemonContentBreaksOff(t *testing.T) {
	for name, end := range map[string]error{
		"daemon lost":  status.Error(codes.Unavailable, "transport is closing"),
		"short stream": nil,
	} {
		t.Run(name, func(t *testing.T) {
			d := startDaemon(t, breaking(end, func() bool { return true }))
			l := must(testenv.RandomImage(t, 1, 3<<20).Layers())(t)[0]
			d.addLayer(t, l)
			desc := v1.Descriptor{Digest: must(l.Digest())(t), Size: must(l.Size())(t)}
			r := must(registry.DaemonContent(d.client).Open(t.Context(), desc))(t)
			defer r.Close()
			n, err := io.Copy(io.Discard, r)
			if !errors.Is(err, io.ErrUnexpectedEOF) || n != 1<<20 {
				t.Errorf("reading = %d bytes, %v, want %d and io.ErrUnexpectedEOF", n, err, 1<<20)
			}
		})
	}
}

func TestDaemonContentCancelled(t *testing.T) {
	d := startDaemon(t)
	l := must(testenv.RandomImage(t, 1, 8<<20).Layers())(t)[0]
	d.addLayer(t, l)
	ctx, cancel := context.WithCancelCause(t.Context())
	r := must(registry.DaemonContent(d.client).Open(ctx, v1.Descriptor{Digest: must(l.Digest())(t)}))(t)
	defer r.Close()
	cause := fmt.Errorf("enough")
	cancel(cause)
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, cause) {
		t.Errorf("reading with a cancelled context = %v, want its cause", err)
	}
}
