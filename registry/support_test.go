package registry_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net"
	"slices"
	"sync"
	"testing"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/containerd/containerd/v2/plugins/services/content/contentserver"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// daemon is containerd's content store behind its own gRPC service, as in a
// buildkitd.
type daemon struct {
	content.Store
	client contentapi.ContentClient
	dial   func(context.Context) (net.Conn, error)
}

// labelStore keeps labels in memory, as the content store wants them kept.
type labelStore struct{ all sync.Map }

func (s *labelStore) Get(d digest.Digest) (map[string]string, error) {
	v, _ := s.all.Load(d)
	labels, _ := v.(map[string]string)
	return maps.Clone(labels), nil
}

func (s *labelStore) Set(d digest.Digest, labels map[string]string) error {
	s.all.Store(d, maps.Clone(labels))
	return nil
}

func (s *labelStore) Update(d digest.Digest, update map[string]string) (map[string]string, error) {
	labels, _ := s.Get(d)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, update)
	return labels, s.Set(d, labels)
}

func startDaemon(t *testing.T, opts ...grpc.ServerOption) *daemon {
	t.Helper()
	store, err := local.NewLabeledStore(t.TempDir(), &labelStore{})
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(opts...)
	contentapi.RegisterContentServer(server, contentserver.New(store))
	lis := bufconn.Listen(1 << 20)
	served := make(chan error, 1)
	go func() { served <- server.Serve(lis) }()
	conn, err := grpc.NewClient("passthrough:///content",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		server.Stop()
		if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Errorf("serving content: %v", err)
		}
	})
	return &daemon{Store: store, client: contentapi.NewContentClient(conn), dial: lis.DialContext}
}

func (d *daemon) write(t *testing.T, digestOf v1.Hash, b []byte) {
	t.Helper()
	desc := ocispecs.Descriptor{Digest: digest.Digest(digestOf.String()), Size: int64(len(b))}
	if err := content.WriteBlob(t.Context(), d.Store, digestOf.String(), bytes.NewReader(b), desc); err != nil {
		t.Fatalf("writing %s: %v", digestOf, err)
	}
}

// label notes something of a blob, as containerd does for those it has pulled.
func (d *daemon) label(t *testing.T, blob v1.Hash, key, value string) {
	t.Helper()
	info := content.Info{Digest: digest.Digest(blob.String()), Labels: map[string]string{key: value}}
	if _, err := d.Update(t.Context(), info, "labels."+key); err != nil {
		t.Fatalf("labelling %s: %v", blob, err)
	}
}

// add stores an image, except for the layers that are to be absent.
func (d *daemon) add(t *testing.T, img v1.Image, absent ...v1.Hash) ocispecs.Descriptor {
	t.Helper()
	for _, l := range must(img.Layers())(t) {
		if h := must(l.Digest())(t); !slices.Contains(absent, h) {
			d.addLayer(t, l)
		}
	}
	d.write(t, must(img.ConfigName())(t), must(img.RawConfigFile())(t))
	return d.addManifest(t, img)
}

func (d *daemon) addLayer(t *testing.T, l v1.Layer) {
	t.Helper()
	r := must(l.Compressed())(t)
	defer r.Close()
	var buf bytes.Buffer
	if _, err := buf.ReadFrom(r); err != nil {
		t.Fatal(err)
	}
	d.write(t, must(l.Digest())(t), buf.Bytes())
}

func (d *daemon) addIndex(t *testing.T, idx v1.ImageIndex) ocispecs.Descriptor {
	t.Helper()
	for _, child := range must(partial.Manifests(idx))(t) {
		switch child := child.(type) {
		case v1.Image:
			d.add(t, child)
		case v1.ImageIndex:
			d.addIndex(t, child)
		}
	}
	return d.addManifest(t, idx)
}

func (d *daemon) addManifest(t *testing.T, a registry.Artifact) ocispecs.Descriptor {
	t.Helper()
	raw, h := must(a.RawManifest())(t), must(a.Digest())(t)
	d.write(t, h, raw)
	return ocispecs.Descriptor{
		MediaType: string(must(a.MediaType())(t)),
		Digest:    digest.Digest(h.String()),
		Size:      int64(len(raw)),
	}
}

func (d *daemon) load(t *testing.T, desc ocispecs.Descriptor, opt registry.LoadOptions) registry.Artifact {
	t.Helper()
	a, err := registry.Load(t.Context(), registry.DaemonContent(d.client), desc, opt)
	if err != nil {
		t.Fatalf("Load(%s): %v", desc.Digest, err)
	}
	return a
}

// must turns the result of a call into a value, or ends the test.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func refs(t *testing.T, names ...string) []name.Reference {
	t.Helper()
	var out []name.Reference
	for _, n := range names {
		out = append(out, must(name.ParseReference(n))(t))
	}
	return out
}

func newPush(t *testing.T, opt registry.Options, names ...string) *registry.Push {
	t.Helper()
	p, err := registry.NewPush(refs(t, names...), opt)
	if err != nil {
		t.Fatalf("NewPush(%q): %v", names, err)
	}
	return p
}

// push uploads and commits.
func push(t *testing.T, a registry.Artifact, opt registry.Options, names ...string) []registry.Pushed {
	t.Helper()
	p := newPush(t, opt, names...)
	if err := p.Upload(t.Context(), a); err != nil {
		t.Fatalf("Upload: %v", err)
	}
	pushed, err := p.Commit(t.Context(), a)
	if err != nil {
		t.Fatalf("Commit: %v", err)
	}
	return pushed
}

// onTop is an image with one more layer than base, and of another config.
func onTop(t *testing.T, base v1.Image) v1.Image {
	t.Helper()
	more := must(testenv.RandomImage(t, 1, 4096).Layers())(t)
	return must(mutate.AppendLayers(base, more...))(t)
}

// newIndex holds two images and an index of one more.
func newIndex(t *testing.T) v1.ImageIndex {
	t.Helper()
	inner := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: testenv.RandomImage(t, 1, 2048)})
	return mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: testenv.RandomImage(t, 2, 4096)},
		mutate.IndexAddendum{Add: testenv.RandomImage(t, 1, 300_000)},
		mutate.IndexAddendum{Add: inner},
	)
}

func digestsOf(t *testing.T, img v1.Image) []v1.Hash {
	t.Helper()
	var out []v1.Hash
	for _, l := range must(img.Layers())(t) {
		out = append(out, must(l.Digest())(t))
	}
	return out
}

// names tells what a tag names in a registry, "" for nothing.
func names(t *testing.T, ref string, opts ...remote.Option) string {
	t.Helper()
	d, err := remote.Get(must(name.ParseReference(ref))(t), opts...)
	if err != nil {
		return ""
	}
	return d.Digest.String()
}
