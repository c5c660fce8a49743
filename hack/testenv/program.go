package testenv

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// ProgramImage returns an image of nothing but the running test program, which it
// starts as argv: TestMain can tell by os.Args what to be. argv[0] is where the
// program lies, as "/frontend".
func ProgramImage(t testing.TB, argv []string, labels map[string]string) v1.Image {
	t.Helper()
	image, err := programImage(argv, labels)
	if err != nil {
		t.Fatalf("making an image of this program: %v", err)
	}
	return image
}

func programImage(argv []string, labels map[string]string) (v1.Image, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	files := map[string]string{strings.TrimPrefix(argv[0], "/"): program}
	if err := addLibraries(files, program); err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	w := &layerWriter{tar: tar.NewWriter(&buf)}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		content, err := os.ReadFile(files[name])
		if err != nil {
			return nil, err
		}
		w.add(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o755}, content)
	}
	if err := w.close(); err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(empty.Image, static.NewLayer(buf.Bytes(), types.DockerUncompressedLayer))
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.Architecture, config.OS = runtime.GOARCH, "linux"
	config.Config.Entrypoint = argv
	config.Config.Labels = labels
	return mutate.ConfigFile(image, config)
}

// addLibraries adds what a program loads that was built with cgo, as the race
// detector wants it.
func addLibraries(files map[string]string, program string) error {
	file, err := elf.Open(program)
	if err != nil {
		return err
	}
	defer file.Close()
	if !slices.ContainsFunc(file.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		return nil
	}
	out, err := exec.Command("ldd", program).Output()
	if err != nil {
		return fmt.Errorf("listing the libraries of %s: %w", program, err)
	}
	for _, field := range strings.Fields(string(out)) {
		if strings.HasPrefix(field, "/") {
			files[field[1:]] = field
		}
	}
	return nil
}
