package registry

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// ContentDirs reads blobs from directories of containerd's content stores on
// this machine, and those that are in none of them, or cannot be read there, from
// next. A file costs a third of what a stream out of the daemon does.
//
// The directories need not be known to belong to the daemon: a blob is named by
// its digest, and a registry refuses bytes that do not have the digest that they
// are announced with.
func ContentDirs(dirs []string, next Store) Store {
	if len(dirs) == 0 {
		return next
	}
	return contentDirs{dirs, next}
}

type contentDirs struct {
	dirs []string
	next Store
}

// path is where a blob lies; "" if it lies nowhere with the right size. A size
// below 0 is not known.
func (c contentDirs) path(digest v1.Hash, size int64) string {
	for _, dir := range c.dirs {
		path := filepath.Join(dir, "blobs", digest.Algorithm, digest.Hex)
		if fi, err := os.Stat(path); err == nil && fi.Mode().IsRegular() && (size < 0 || fi.Size() == size) {
			return path
		}
	}
	return ""
}

func (c contentDirs) Has(ctx context.Context, digest v1.Hash) (bool, error) {
	if c.path(digest, -1) != "" {
		return true, nil
	}
	return c.next.Has(ctx, digest)
}

func (c contentDirs) Open(ctx context.Context, desc v1.Descriptor) (io.ReadCloser, error) {
	path := c.path(desc.Digest, desc.Size)
	if path == "" {
		return c.next.Open(ctx, desc)
	}
	f, err := os.Open(path)
	if err != nil {
		return c.next.Open(ctx, desc) // of another user, or pruned just now
	}
	return &fileReader{File: f, ctx: ctx}, nil
}

// fileReader ends with its context, as the Store's streams do.
type fileReader struct {
	*os.File
	ctx context.Context
}

func (r *fileReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, fmt.Errorf("reading blob: %w", context.Cause(r.ctx))
	}
	return r.File.Read(p)
}
