package helper

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// bin holds, for each architecture, init-ARCH.gz and init-ARCH.json, the descriptor of
// the layer that layer.Of makes of it.
//
//go:embed bin
var bin embed.FS

// ErrMissing is what a helper that was not built is. The error says for which
// architecture.
var ErrMissing = errors.New("use make build")

// Architectures lists those that there is a helper for, in Go's names.
func Architectures() []string {
	files, _ := fs.Glob(bin, "bin/init-*.gz") // the pattern is right
	for i, name := range files {
		files[i] = strings.TrimSuffix(strings.TrimPrefix(name, "bin/init-"), ".gz")
	}
	slices.Sort(files)
	return files
}

// Open returns the helper for an architecture, in Go's names; it is always the
// same in the same build of seatrial. The error is ErrMissing if it has none.
func Open(arch string) ([]byte, error) {
	raw, err := bin.ReadFile("bin/init-" + arch + ".gz")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return nil, fmt.Errorf("built without the test helper for linux/%s: %w", arch, ErrMissing)
	}
	if err != nil {
		return nil, err
	}
	zip, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("reading the test helper for linux/%s: %w", arch, err)
	}
	program, err := io.ReadAll(zip)
	if err != nil {
		return nil, fmt.Errorf("reading the test helper for linux/%s: %w", arch, err)
	}
	return program, nil
}

// describe is the descriptor of the layer that has the helper for an architecture. It
// costs nothing, unlike the layer. The error is ErrMissing if there is none.
func describe(arch string) (ocispecs.Descriptor, error) {
	var desc ocispecs.Descriptor
	raw, err := bin.ReadFile("bin/init-" + arch + ".json")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return desc, fmt.Errorf("built without the test helper for linux/%s: %w", arch, ErrMissing)
	}
	if err != nil {
		return desc, err
	}
	if err := json.Unmarshal(raw, &desc); err != nil {
		return desc, fmt.Errorf("reading the descriptor of the test helper for linux/%s: %w", arch, err)
	}
	return desc, nil
}
