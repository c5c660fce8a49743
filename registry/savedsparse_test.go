package registry_test

import (
	"archive/tar"
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	ggcrlayout "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/seatrial/seatrial/registry"
)

// TestSavedSparseTar reads tars of layouts whose layers have holes, in all the ways that
// GNU tar has of leaving holes out.
func TestSavedSparseTar(t *testing.T) {
	layers := make([]v1.Layer, 0, 2)
	for seed := range uint64(2) {
		r := rand.New(rand.NewPCG(seed, 0))
		data := make([]byte, 300<<10)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		holes := bytes.Repeat([]byte{0}, 200<<10)
		data = must(os.ReadFile(tarOf(t, tar.Header{Name: "file"})(slices.Concat(holes, data, holes, data, holes))))(t)
		layers = append(layers, static.NewLayer(data, types.OCIUncompressedLayer))
	}
	img := must(mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), layers...))(t)
	dir := t.TempDir()
	if err := must(ggcrlayout.Write(filepath.Join(dir, "whole"), empty.Index))(t).AppendImage(img); err != nil {
		t.Fatal(err)
	}
	command(t, dir, "cp", "-r", "--sparse=always", "whole", "sparse")
	for _, how := range [][]string{{"--format=gnu"}, {"--format=oldgnu"}, {"--format=pax", "--sparse-version=0.0"}, {"--format=pax", "--sparse-version=0.1"}, {"--format=pax", "--sparse-version=1.0"}} {
		path := filepath.Join(t.TempDir(), "sparse.tar")
		command(t, dir, "tar", slices.Concat([]string{"-cf", path, "-S", "-C", "sparse"}, how, []string{"."})...)
		if fi := must(os.Stat(path))(t); fi.Size() > 1500<<10 {
			t.Fatalf("tar %q left no holes out", how)
		}
		s := open(t, path)
		got, err := s.Load(t.Context(), s.Images()[0])
		if err != nil {
			t.Errorf("%q: %v", how, err)
			continue
		}
		if err := registry.WriteArchive(t.Context(), io.Discard, got, registry.LayoutOptions{}); err != nil {
			t.Errorf("%q: %v", how, err)
		}
	}
}

func command(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%q: %v\n%s", cmd.Args, err, out)
	}
}
