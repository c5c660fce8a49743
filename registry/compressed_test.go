package registry_test

import (
	"maps"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// TestOtherwiseCompressed counts what two images for two platforms share once, and
// nothing of their base.
func TestOtherwiseCompressed(t *testing.T) {
	d := startDaemon(t)
	base := testenv.RandomImage(t, 2, 1000)
	d.add(t, base)
	images := make([]v1.Image, 2)
	for i := range images {
		images[i] = must(mutate.AppendLayers(base,
			static.NewLayer([]byte("shared"), types.DockerLayer),
			static.NewLayer([]byte("plain"), types.OCIUncompressedLayer),
			static.NewLayer([]byte{byte(i)}, types.OCILayerZStd)))(t)
		images[i] = must(mutate.Append(images[i], mutate.Addendum{
			Layer:       static.NewLayer([]byte("eager"), types.OCILayer),
			Annotations: map[string]string{"containerd.io/snapshot/stargz/toc.digest": "sha256:0"},
		}))(t)
	}
	idx := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: images[0]}, mutate.IndexAddendum{Add: images[1]})
	a := d.load(t, d.addIndex(t, idx), registry.LoadOptions{
		Bases: []registry.Base{{Reference: "127.0.0.1:1/base", Digest: must(base.Digest())(t)}},
	})
	for wanted, want := range map[string]map[string]int{
		"zstd":         {"gzip": 1, "estargz": 1, "uncompressed": 1},
		"gzip":         {"zstd": 2, "uncompressed": 1},
		"estargz":      {"zstd": 2, "gzip": 1, "uncompressed": 1},
		"uncompressed": {"zstd": 2, "gzip": 1, "estargz": 1},
	} {
		if got := registry.OtherwiseCompressed(t.Context(), a, wanted); !maps.Equal(got, want) {
			t.Errorf("OtherwiseCompressed(%s) = %v, want %v", wanted, got, want)
		}
	}
}
