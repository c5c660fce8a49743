package registry_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	ggcrlayout "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// nestedLayout is a layout of an index of an index of an image, and so on. Each lists
// what it is of many times.
func nestedLayout(t *testing.T, depth int) string {
	t.Helper()
	const times = 40
	l := must(ggcrlayout.Write(filepath.Join(t.TempDir(), "layout"), empty.Index))(t)
	img := testenv.RandomImage(t, 2, 1000)
	if err := l.WriteImage(img); err != nil {
		t.Fatal(err)
	}
	desc := must(partial.Descriptor(img))(t)
	for range depth {
		raw := must(json.Marshal(v1.IndexManifest{
			SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: slices.Repeat([]v1.Descriptor{*desc}, times),
		}))(t)
		digest, size, err := v1.SHA256(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(string(l), "blobs", "sha256", digest.Hex), raw, 0o644); err != nil {
			t.Fatal(err)
		}
		desc = &v1.Descriptor{MediaType: types.OCIImageIndex, Digest: digest, Size: size}
	}
	if err := l.AppendDescriptor(*desc); err != nil {
		t.Fatal(err)
	}
	return string(l)
}

// TestNestedIndexes has more ways to the image than could ever be walked.
func TestNestedIndexes(t *testing.T) {
	const depth = 8
	s := open(t, nestedLayout(t, depth))
	if got := must(s.Attested(t.Context(), s.Images()[0], "any"))(t); len(got) == 0 {
		t.Error("there is nothing in the index")
	}
	a := must(s.Load(t.Context(), s.Images()[0]))(t)
	dir := filepath.Join(t.TempDir(), "layout")
	if err := registry.WriteLayout(t.Context(), dir, a, registry.LayoutOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := loadFirst(t, dir); err != nil {
		t.Errorf("reading what was written: %v", err)
	}
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
	push(t, a, registry.Options{}, reg.Host+"/app:1")
	if got := reg.Count("PUT", "/manifests/"); got != depth+1 {
		t.Errorf("%d manifests were put, want the image's and those of %d indexes, each once", got, depth)
	}
}

func TestIndexesNestedTooDeep(t *testing.T) {
	err := loadFirst(t, nestedLayout(t, 9))
	if err == nil || !strings.Contains(err.Error(), "is in 8 indexes, one in the other: ") {
		t.Errorf("Load of 9 indexes, one in the other = %v, want an error that says how many there may be", err)
	}
}

// TestNestedBase looks for a layer in a base image that does not have it, but more ways to
// those it has than could ever be walked.
func TestNestedBase(t *testing.T) {
	d := startDaemon(t)
	dir := nestedLayout(t, 8)
	for _, f := range must(os.ReadDir(filepath.Join(dir, "blobs", "sha256")))(t) {
		d.write(t, v1.Hash{Algorithm: "sha256", Hex: f.Name()}, must(os.ReadFile(filepath.Join(dir, "blobs", "sha256", f.Name())))(t))
	}
	a := d.load(t, d.add(t, testenv.RandomImage(t, 1, 1000)), registry.LoadOptions{
		Bases: []registry.Base{{Reference: "127.0.0.1:1/base", Digest: open(t, dir).Images()[0].Digest}},
	})
	if got := registry.OtherwiseCompressed(t.Context(), a, "zstd"); got["gzip"] != 1 {
		t.Errorf("layers of no base = %v, want one", got)
	}
}
