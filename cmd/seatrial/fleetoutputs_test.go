package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/seatrial/seatrial/hack/testenv"
)

// TestSeveralBuildersWriteOutputs puts what two builders made, and attest, together.
func TestSeveralBuildersWriteOutputs(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) {
			w, addrs := newFleetWorld(t, kind)
			dir := t.TempDir()
			files, image, metadata := filepath.Join(dir, "files"), filepath.Join(dir, "image"), filepath.Join(dir, "metadata.json")
			args := append([]string{"build", testenv.Dir(t, "Dockerfile", fleetDockerfile), "--provenance=true",
				"-o", files, "-o", "type=oci,tar=false,dest=" + image, "--metadata-file", metadata}, addrs...)
			c := start(t, w.env(), args...)
			c.exits(0)

			for _, arch := range []string{"amd64", "386"} {
				got, err := os.ReadFile(filepath.Join(files, "linux_"+arch, "arch"))
				if err != nil || string(got) != arch+"\n" {
					t.Errorf("the file for %s says %q (%v)", arch, got, err)
				}
			}
			idx, err := layout.ImageIndexFromPath(image)
			if err != nil {
				t.Fatal(err)
			}
			m, err := idx.IndexManifest()
			if err != nil {
				t.Fatal(err)
			}
			if got, want := m.Manifests[0].Digest.String(), strings.TrimSpace(c.out.String()); got != want {
				t.Errorf("the layout has %s, want %s, which was printed", got, want)
			}
			if idx, err = idx.ImageIndex(m.Manifests[0].Digest); err != nil {
				t.Fatal(err)
			}
			if m, err = idx.IndexManifest(); err != nil || len(m.Manifests) != 4 {
				t.Errorf("the index has %d manifests, want 2 images and 2 that attest of them (%v)", len(m.Manifests), err)
			}
			var said map[string]json.RawMessage
			dt, err := os.ReadFile(metadata)
			if err == nil {
				err = json.Unmarshal(dt, &said)
			}
			if err != nil || said["buildx.build.provenance/linux/amd64"] == nil || said["buildx.build.provenance/linux/386"] == nil {
				t.Errorf("the metadata has no provenance for each platform (%v):\n%s", err, dt)
			}

			c = start(t, w.env(), append([]string{"build", ".", "-o", "-"}, addrs...)...)
			c.exits(2)
			c.says("with several builders")
		})
	}
}
