package testenv

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
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
	dir, err := debianLayout(t.Context(), packages...)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func debianLayout(ctx context.Context, packages ...string) (string, error) {
	release, err := osRelease()
	if err != nil {
		return "", err
	}
	key := sha256.Sum256([]byte(strings.Join(append([]string{"3", release["ID"], release["VERSION_CODENAME"], runtime.GOARCH}, packages...), " ")))
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "seatrial", "testimages", fmt.Sprintf("%x", key[:6]))
	if _, err := os.Stat(filepath.Join(dir, "index.json")); err == nil {
		return dir, nil
	}
	if err := makeDebianImage(ctx, dir, release, packages); err != nil {
		return "", fmt.Errorf("making an image of %s: %w", packages, err)
	}
	return dir, nil
}

// makeDebianImage makes it beside dir, and moves it there when it is complete. It says
// so: it takes a minute.
func makeDebianImage(ctx context.Context, dir string, release map[string]string, packages []string) error {
	fmt.Fprintf(os.Stderr, "making an image of %s from this machine's package sources (a minute, once)\n", packages)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp(filepath.Dir(dir), ".new-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	rootfs := filepath.Join(scratch, "rootfs.tar")
	sources, err := aptSources(ctx, release["ID"])
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "mmdebstrap", "--quiet", "--variant=minbase", "--include="+strings.Join(packages, ","),
		"--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
		release["VERSION_CODENAME"], rootfs, "-")
	cmd.Stdin = bytes.NewReader(sources)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("running mmdebstrap, which must be installed: %w\n%s", err, out)
	}
	image, err := debianImage(rootfs)
	if err != nil {
		return err
	}
	path, err := layout.Write(filepath.Join(scratch, "layout"), empty.Index)
	if err != nil {
		return err
	}
	if err := path.AppendImage(image, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "latest"})); err != nil {
		return err
	}
	// Somebody else may have made the same one meanwhile.
	if err := os.Rename(filepath.Join(scratch, "layout"), dir); err != nil {
		if _, there := os.Stat(filepath.Join(dir, "index.json")); there != nil {
			return err
		}
	}
	return nil
}

// debianImage is the image of a root filesystem's archive.
func debianImage(rootfs string) (v1.Image, error) {
	layer, err := tarball.LayerFromFile(rootfs, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), layer)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
	return mutate.ConfigFile(image, config)
}

// aptSources are the distribution's own among the machine's; none where apt has no lists
// yet, for which mmdebstrap takes the public ones.
func aptSources(ctx context.Context, origin string) ([]byte, error) {
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "deb $(REPO_URI) $(RELEASE) $(COMPONENT)",
		"Identifier: Packages", "Origin: "+strings.ToUpper(origin[:1])+origin[1:]).Output()
	if err != nil {
		return nil, fmt.Errorf("listing package sources: %w", err)
	}
	return out, nil
}

// osRelease is what the machine says that it runs.
func osRelease() (map[string]string, error) {
	dt, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for line := range strings.Lines(string(dt)) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), "=")
		out[k] = strings.Trim(v, `"`)
	}
	return out, nil
}
