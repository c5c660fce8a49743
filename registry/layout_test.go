package registry_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// untar unpacks an archive and returns its directory.
func untar(t *testing.T, data []byte) string {
	t.Helper()
	dir := t.TempDir()
	r := tar.NewReader(bytes.NewReader(data))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o755)
		} else {
			err = os.WriteFile(path, must(io.ReadAll(r))(t), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestWriteArchiveOfIndex(t *testing.T) {
	d := startDaemon(t)
	want := newIndex(t)
	a := d.load(t, d.addIndex(t, want), registry.LoadOptions{})
	var first, again bytes.Buffer
	opt := registry.LayoutOptions{Names: refs(t, "acme/app:1", "ghcr.io/acme/app"), Annotations: map[string]string{"a": "b"}}
	for _, w := range []io.Writer{&first, &again} {
		if err := registry.WriteArchive(t.Context(), w, a, opt); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), again.Bytes()) {
		t.Error("two archives of one artifact differ")
	}
	idx := must(layout.ImageIndexFromPath(untar(t, first.Bytes())))(t)
	if err := validate.Index(must(idx.ImageIndex(must(want.Digest())(t)))(t)); err != nil {
		t.Errorf("validating what was written: %v", err)
	}
	var got []string
	for _, desc := range must(idx.IndexManifest())(t).Manifests {
		got = append(got, desc.Annotations["io.containerd.image.name"]+" "+desc.Annotations["org.opencontainers.image.ref.name"]+" "+desc.Annotations["a"])
	}
	if want := []string{"docker.io/acme/app:1 1 b", "ghcr.io/acme/app:latest latest b"}; !slices.Equal(got, want) {
		t.Errorf("names in index.json = %q, want %q", got, want)
	}
}

func TestWriteDockerArchive(t *testing.T) {
	d := startDaemon(t)
	want := testenv.RandomImage(t, 2, 10_000)
	var buf bytes.Buffer
	opt := registry.LayoutOptions{Names: refs(t, "acme/app:1")}
	if err := registry.WriteDockerArchive(t.Context(), &buf, d.load(t, d.add(t, want), registry.LoadOptions{}), opt); err != nil {
		t.Fatal(err)
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf.Bytes())), nil }
	tag := must(name.NewTag("docker.io/acme/app:1"))(t)
	got := must(tarball.Image(open, &tag))(t)
	if err := validate.Image(got); err != nil {
		t.Errorf("validating what was written: %v", err)
	}
	if got, want := must(got.ConfigName())(t), must(want.ConfigName())(t); got != want {
		t.Errorf("image ID = %s, want %s", got, want)
	}
}

func TestWriteDockerArchiveOfSeveral(t *testing.T) {
	d := startDaemon(t)
	a := d.load(t, d.addIndex(t, newIndex(t)), registry.LoadOptions{})
	err := registry.WriteDockerArchive(t.Context(), io.Discard, a, registry.LayoutOptions{})
	if err == nil || !strings.Contains(err.Error(), "one image") {
		t.Errorf("WriteDockerArchive of an index = %v, want an error that says that it takes one image", err)
	}
}

func TestWriteLayoutAddsAndReplaces(t *testing.T) {
	d := startDaemon(t)
	dir := filepath.Join(t.TempDir(), "layout")
	old, other, replacing := testenv.RandomImage(t, 1, 1000), testenv.RandomImage(t, 1, 1000), testenv.RandomImage(t, 1, 1000)
	for _, step := range []struct {
		image v1.Image
		name  string
	}{{old, "acme/app:1"}, {other, "acme/app:2"}, {replacing, "acme/app:1"}} {
		a := d.load(t, d.add(t, step.image), registry.LoadOptions{})
		if err := registry.WriteLayout(t.Context(), dir, a, registry.LayoutOptions{Names: refs(t, step.name)}); err != nil {
			t.Fatal(err)
		}
	}
	idx := must(layout.ImageIndexFromPath(dir))(t)
	if err := validate.Index(idx); err != nil {
		t.Errorf("validating the layout: %v", err)
	}
	var got []v1.Hash
	for _, desc := range must(idx.IndexManifest())(t).Manifests {
		got = append(got, desc.Digest)
	}
	if want := []v1.Hash{must(other.Digest())(t), must(replacing.Digest())(t)}; !slices.Equal(got, want) {
		t.Errorf("images in the layout = %v, want %v", got, want)
	}
}

// corruptStore has other bytes for one blob.
type corruptStore struct {
	registry.Store
	corrupt v1.Hash
}

func (s corruptStore) Open(ctx context.Context, desc v1.Descriptor) (io.ReadCloser, error) {
	if desc.Digest == s.corrupt {
		return io.NopCloser(strings.NewReader(strings.Repeat("x", int(desc.Size)))), nil
	}
	return s.Store.Open(ctx, desc)
}

func TestLayoutsVerify(t *testing.T) {
	d := startDaemon(t)
	image := testenv.RandomImage(t, 1, 1000)
	store := corruptStore{registry.DaemonContent(d.client), digestsOf(t, image)[0]}
	a, err := registry.Load(t.Context(), store, d.add(t, image), registry.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for what, err := range map[string]error{
		"WriteArchive": registry.WriteArchive(t.Context(), io.Discard, a, registry.LayoutOptions{}),
		"WriteLayout":  registry.WriteLayout(t.Context(), dir, a, registry.LayoutOptions{}),
	} {
		if err == nil || !strings.Contains(err.Error(), "hashes to") {
			t.Errorf("%s of a corrupt layer = %v, want an error about its hash", what, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "blobs", "sha256", store.corrupt.Hex)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the corrupt layer is in the layout (%v)", err)
	}
}
