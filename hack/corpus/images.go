package corpus

import (
	"archive/tar"
	"bytes"
	_ "embed" // the stand-ins' program
	"encoding/json"
	"fmt"
	"io"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/seatrial/seatrial/hack/testenv"
)

// tool is the program behind every command that the stand-ins have.
//
//go:embed tool.sh
var tool []byte

// commands are what the stand-ins can pretend to be.
var commands = []string{"addgroup", "adduser", "apk", "apt-get", "bundle", "cargo", "composer", "dotnet", "gcc", "gem", "go",
	"groupadd", "gradle", "java", "make", "mvn", "nginx", "node", "npm", "php", "pip", "pnpm", "python", "python3", "useradd", "uv"}

//go:embed images.json
var images []byte

// Images pushes what the Dockerfiles start from to a registry that stands in for
// Docker Hub: busybox under the names of the real images, with a configuration
// like theirs, and a script that pretends to be their compilers and package
// managers. Each is there for amd64 and arm64; what is in it runs on this
// machine's own.
func Images(t testing.TB, host string) {
	t.Helper()
	busybox := testenv.BusyboxImage(t)
	layer, err := toolLayer()
	if err != nil {
		t.Fatalf("making the stand-ins' layer: %v", err)
	}
	tools, err := mutate.Append(busybox, mutate.Addendum{Layer: layer, History: v1.History{CreatedBy: "tools", Created: epoch()}})
	if err != nil {
		t.Fatalf("making the stand-ins: %v", err)
	}
	var list map[string]v1.Config
	if err := json.Unmarshal(images, &list); err != nil {
		t.Fatalf("reading images.json: %v", err)
	}
	for ref, config := range list {
		index, err := standIn(tools, config)
		if err != nil {
			t.Fatalf("making image %s: %v", ref, err)
		}
		testenv.Push(t, host+"/"+ref, index)
	}
}

func epoch() v1.Time { return v1.Time{Time: time.Unix(0, 0).UTC()} }

// standIn is base with what config says beyond base's own, for two platforms.
func standIn(base v1.Image, config v1.Config) (v1.ImageIndex, error) {
	file, err := base.ConfigFile()
	if err != nil {
		return nil, err
	}
	var index v1.ImageIndex = empty.Index
	for _, arch := range []string{"amd64", "arm64"} {
		file := file.DeepCopy()
		file.Architecture = arch
		own := file.Config
		file.Config = config
		file.Config.Env = append(own.Env, config.Env...)
		if config.Cmd == nil && config.Entrypoint == nil {
			file.Config.Cmd = own.Cmd
		}
		image, err := mutate.ConfigFile(base, file)
		if err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
	}
	return index, nil
}

func toolLayer() (v1.Layer, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	add := func(h *tar.Header, content []byte) error {
		h.Size, h.ModTime = int64(len(content)), time.Unix(0, 0)
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err := w.Write(content)
		return err
	}
	if err := add(&tar.Header{Typeflag: tar.TypeReg, Name: "usr/local/bin/tool", Mode: 0o755}, tool); err != nil {
		return nil, err
	}
	for _, name := range commands {
		if err := add(&tar.Header{Typeflag: tar.TypeSymlink, Name: "usr/local/bin/" + name, Linkname: "tool", Mode: 0o777}, nil); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("writing tar: %w", err)
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf.Bytes())), nil })
}
