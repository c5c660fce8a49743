package buildkitd

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

func TestDial(t *testing.T) {
	for _, kind := range []testenv.Kind{testenv.Root, testenv.Rootless} {
		p := newPlace(t)
		opt := p.options()
		opt.Addr = testenv.SharedDaemon(t, kind).Addr
		checkDial(t, p.connect(t, opt))
	}
}

// The content of a daemon on this machine is read where the daemon has it, which need not
// be the default place.
func TestContentIsFoundWhereTheDaemonHasIt(t *testing.T) {
	for _, kind := range []testenv.Kind{testenv.Root, testenv.Rootless} {
		p := newPlace(t)
		opt := p.options()
		opt.Addr = testenv.SharedDaemon(t, kind).Addr
		b := p.connect(t, opt)
		r, err := registry.ContentDirs(b.ContentDirs(t.Context()), noStore{}).Open(t.Context(), buildLayer(t, b.Client))
		if err != nil {
			t.Fatalf("%s: opening a layer in %v: %v", b.Addr, b.ContentDirs(t.Context()), err)
		}
		r.Close()
	}
}

// A sidecar's process cannot be seen, nor is it at the other end of a socket's file. Where its
// directory is mounted at a default place, its content is read there.
func TestContentOfASidecarIsFound(t *testing.T) {
	p := newPlace(t)
	opt := p.options()
	opt.Addr = testenv.SharedDaemon(t, testenv.Root).Addr
	b := p.connect(t, opt)
	layer := buildLayer(t, b.Client)
	dirs := b.ContentDirs(t.Context())
	if len(dirs) == 0 {
		t.Fatal("no content is found")
	}
	data := t.TempDir()
	t.Setenv("XDG_DATA_HOME", data)
	if err := os.Symlink(filepath.Join(dirs[0], "../.."), filepath.Join(data, "buildkit")); err != nil {
		t.Fatal(err)
	}
	for addr, found := range map[string]bool{
		"tcp://127.0.0.1:1234": true, "tcp://localhost:1234": true, "tcp://[::1]:1234": true,
		"tcp://builder.example:1234": false, "tcp://192.0.2.1:1234": false,
	} {
		r, err := registry.ContentDirs((&Builder{Addr: addr}).ContentDirs(t.Context()), noStore{}).Open(t.Context(), layer)
		if err == nil {
			r.Close()
		}
		if (err == nil) != found {
			t.Errorf("%s: opening a layer: %v, want found %v", addr, err, found)
		}
	}
}

// Each connection through a helper is another process, here and there.
func TestNoDialThroughHelpers(t *testing.T) {
	for _, addr := range []string{"docker-container://builder", "kube-pod://builder", "ssh://builder"} {
		u, err := url.Parse(addr)
		if err != nil {
			t.Fatal(err)
		}
		if (target{url: u}).dialer() != nil {
			t.Errorf("there is a way to dial %s, want none", addr)
		}
	}
}

// checkDial reads a layer over a connection of its own.
func checkDial(t *testing.T, b *Builder) {
	t.Helper()
	layer := buildLayer(t, b.Client)
	if b.Dial == nil {
		t.Fatalf("%s: Builder.Dial is nil", b.Addr)
	}
	r, err := registry.DialContent(b.Dial, noStore{}).Open(t.Context(), layer)
	if err != nil {
		t.Fatalf("%s: opening a layer by Builder.Dial: %v", b.Addr, err)
	}
	defer r.Close()
	if got, n, err := v1.SHA256(r); got != layer.Digest || err != nil {
		t.Errorf("%s: reading a layer by Builder.Dial: %d bytes of %s, %v, want %d of %s", b.Addr, n, got, err, layer.Size, layer.Digest)
	}
}

type noStore struct{}

func (noStore) Open(context.Context, v1.Descriptor) (io.ReadCloser, error) {
	return nil, errors.New("the connection was of no use")
}

func (noStore) Has(context.Context, v1.Hash) (bool, error) { return false, nil }

// buildLayer has the daemon make a layer of 3 MB.
func buildLayer(t *testing.T, c *client.Client) v1.Descriptor {
	t.Helper()
	data := make([]byte, 3_000_000)
	_, _ = rand.Read(data)
	def, err := llb.Scratch().File(llb.Mkfile("/data", 0o600, data)).Marshal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Solve(t.Context(), def, client.SolveOpt{Exports: []client.ExportEntry{{Type: client.ExporterImage}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(res.ExporterResponse[exptypes.ExporterImageDescriptorKey])
	if err != nil {
		t.Fatal(err)
	}
	var desc v1.Descriptor
	if err := json.Unmarshal(raw, &desc); err != nil {
		t.Fatal(err)
	}
	r, err := registry.DaemonContent(c.ContentClient()).Open(t.Context(), desc)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	m, err := v1.ParseManifest(r)
	if err != nil || len(m.Layers) != 1 {
		t.Fatalf("manifest %s: %v, want one with one layer", desc.Digest, err)
	}
	return m.Layers[0]
}
