package helper

import (
	"bytes"
	"compress/gzip"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
)

// bin holds init-ARCH.gz for each architecture.
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
