package testenv

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// DebianLayout returns an OCI layout, with one image that has packages of the distribution that this machine
// runs, from the package sources of this machine: real servers, for places that Docker
// Hub cannot be reached from. It is made once, which takes a minute, and kept in the
// user's cache directory.
func DebianLayout(t testing.TB, packages ...string) string {
	t.Helper()
	release := osRelease(t)
	key := sha256.Sum256([]byte(strings.Join(append([]string{"3", release["ID"], release["VERSION_CODENAME"], runtime.GOARCH}, packages...), " ")))
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "seatrial", "testimages", fmt.Sprintf("%x", key[:6]))
	if _, err := os.Stat(filepath.Join(dir, "index.json")); err != nil {
		makeDebianImage(t, dir, release, packages)
	}
	return dir
}

// makeDebianImage makes it beside dir, and moves it there when it is complete.
func makeDebianImage(t testing.TB, dir string, release map[string]string, packages []string) {
	t.Helper()
	t.Logf("making an image of %s from this machine's package sources (a minute, once)", packages)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	scratch, err := os.MkdirTemp(filepath.Dir(dir), ".new-*")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(scratch)
	rootfs := filepath.Join(scratch, "rootfs.tar")
	cmd := exec.CommandContext(t.Context(), "mmdebstrap", "--quiet", "--variant=minbase", "--include="+strings.Join(packages, ","),
		"--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
		release["VERSION_CODENAME"], rootfs, "-")
	cmd.Stdin = bytes.NewReader(aptSources(t, release["ID"]))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("making an image of %s: %v; install mmdebstrap\n%s", packages, err, out)
	}
	layer, err := tarball.LayerFromFile(rootfs, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), layer)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		t.Fatal(err)
	}
	path, err := layout.Write(filepath.Join(scratch, "layout"), empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := path.AppendImage(image, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "latest"})); err != nil {
		t.Fatal(err)
	}
	// Somebody else may have made the same one meanwhile.
	if err := os.Rename(filepath.Join(scratch, "layout"), dir); err != nil {
		if _, there := os.Stat(filepath.Join(dir, "index.json")); there != nil {
			t.Fatal(err)
		}
	}
}

// aptSources are the distribution's own among the machine's; none where apt has no lists
// yet, for which mmdebstrap takes the public ones.
func aptSources(t testing.TB, origin string) []byte {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "apt-get", "indextargets", "--format", "deb $(REPO_URI) $(RELEASE) $(COMPONENT)",
		"Identifier: Packages", "Origin: "+strings.ToUpper(origin[:1])+origin[1:]).Output()
	if err != nil {
		t.Fatalf("listing package sources: %v", err)
	}
	return out
}

// osRelease is what the machine says that it runs.
func osRelease(t testing.TB) map[string]string {
	t.Helper()
	dt, err := os.ReadFile("/etc/os-release")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for line := range strings.Lines(string(dt)) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), "=")
		out[k] = strings.Trim(v, `"`)
	}
	return out
}
