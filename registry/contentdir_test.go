package registry_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seatrial/seatrial/registry"
)

// nextStore stands for the daemon.
type nextStore struct{}

func (nextStore) Open(context.Context, v1.Descriptor) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("daemon")), nil
}

func (nextStore) Has(context.Context, v1.Hash) (bool, error) { return false, nil }

func TestContentDirs(t *testing.T) {
	dir := t.TempDir()
	h := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("ab", 32)}
	blob := filepath.Join(dir, "blobs", h.Algorithm, h.Hex)
	if err := os.MkdirAll(filepath.Dir(blob), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(blob, []byte("file"), 0o644); err != nil {
		t.Fatal(err)
	}
	absent := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("cd", 32)}
	store := registry.ContentDirs([]string{filepath.Join(dir, "none"), dir}, nextStore{})
	for _, test := range []struct {
		name string
		desc v1.Descriptor
		want string
	}{
		{"there", v1.Descriptor{Digest: h, Size: 4}, "file"},
		{"there, size unknown", v1.Descriptor{Digest: h, Size: -1}, "file"},
		{"half written", v1.Descriptor{Digest: h, Size: 5}, "daemon"},
		{"absent", v1.Descriptor{Digest: absent, Size: 4}, "daemon"},
	} {
		r, err := store.Open(t.Context(), test.desc)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		got, err := io.ReadAll(r)
		if err != nil || string(got) != test.want {
			t.Errorf("%s: Open() gives %q, %v, want %q", test.name, got, err, test.want)
		}
		if err := r.Close(); err != nil {
			t.Errorf("%s: Close() = %v", test.name, err)
		}
	}
	for digest, want := range map[v1.Hash]bool{h: true, absent: false} {
		if got, err := store.Has(t.Context(), digest); err != nil || got != want {
			t.Errorf("Has(%s) = %v, %v, want %v", digest, got, err, want)
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	r, err := store.Open(ctx, v1.Descriptor{Digest: h, Size: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cancel()
	if _, err := r.Read(make([]byte, 1)); err == nil {
		t.Error("Read() after its context ended = nil, want an error")
	}
}
