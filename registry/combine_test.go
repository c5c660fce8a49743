package registry_test

import (
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// indexFor is an index of one image.
func indexFor(t *testing.T, arch string) v1.ImageIndex {
	t.Helper()
	idx := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{
		Add:        testenv.RandomImage(t, 2, 4096),
		Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
	}, mutate.IndexAddendum{ // an attestation, as BuildKit has it
		Add:        testenv.RandomImage(t, 1, 512),
		Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"}},
	})
	return mutate.Annotations(idx, map[string]string{arch: "here"}).(v1.ImageIndex) //nolint:errcheck,forcetypeassert // it gives what it is given
}

// TestCombine pushes what two daemons have built as one index.
func TestCombine(t *testing.T) {
	amd64, arm64 := startDaemon(t), startDaemon(t)
	first := amd64.load(t, amd64.addIndex(t, indexFor(t, "amd64")), registry.LoadOptions{})
	second := arm64.load(t, arm64.addIndex(t, indexFor(t, "arm64")), registry.LoadOptions{})
	both, err := registry.Combine(first, second)
	if err != nil {
		t.Fatal(err)
	}
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
	ref := must(name.ParseReference(reg.Host + "/team/app:both"))(t)
	push := must(registry.NewPush([]name.Reference{ref}, registry.Options{}))(t)
	pushed := must(push.Commit(t.Context(), both))(t)
	if want := must(both.Digest())(t); len(pushed) != 1 || pushed[0].Digest != want || !pushed[0].Moved {
		t.Fatalf("Commit = %v, want %s moved to %s", pushed, ref, want)
	}

	idx := must(remote.Index(ref))(t)
	m := must(idx.IndexManifest())(t)
	var platforms []string
	for _, d := range m.Manifests {
		if err := validate.Image(must(idx.Image(d.Digest))(t)); err != nil {
			t.Errorf("validating %s, which arrived: %v", d.Digest, err)
		}
		platforms = append(platforms, d.Platform.String())
	}
	if got, want := strings.Join(platforms, " "), "linux/amd64 unknown/unknown linux/arm64 unknown/unknown"; got != want {
		t.Errorf("the index has %s, want %s", got, want)
	}
	if m.Annotations["amd64"] != "here" || m.Annotations["arm64"] != "here" {
		t.Errorf("annotations = %v, want those of both", m.Annotations)
	}
}

func TestCombineRefuses(t *testing.T) {
	d := startDaemon(t)
	amd64 := d.load(t, d.addIndex(t, indexFor(t, "amd64")), registry.LoadOptions{})
	other := d.load(t, d.addIndex(t, indexFor(t, "amd64")), registry.LoadOptions{})
	if _, err := registry.Combine(amd64, other); err == nil || !strings.Contains(err.Error(), "linux/amd64") {
		t.Errorf("Combine of two for one platform = %v, want an error that names it", err)
	}
	image := d.load(t, d.add(t, testenv.RandomImage(t, 1, 100)), registry.LoadOptions{})
	if _, err := registry.Combine(amd64, image); err == nil {
		t.Error("Combine of an image succeeded")
	}
}
