package llb

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/content"
	contentlocal "github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/containerd/errdefs"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// layoutStore is the blobs of an OCI layout, to read. containerd's own store would
// write there, and let the daemon do so.
type layoutStore struct{ dir string }

var _ content.Store = layoutStore{}

func (s layoutStore) blob(dgst digest.Digest) string {
	return filepath.Join(s.dir, ocispecs.ImageBlobsDir, dgst.Algorithm().String(), dgst.Encoded())
}

// Info implements content.InfoProvider.
func (s layoutStore) Info(_ context.Context, dgst digest.Digest) (content.Info, error) {
	fi, err := s.stat(dgst)
	if err != nil {
		return content.Info{}, err
	}
	return content.Info{Digest: dgst, Size: fi.Size(), CreatedAt: fi.ModTime(), UpdatedAt: fi.ModTime()}, nil
}

func (s layoutStore) stat(dgst digest.Digest) (fs.FileInfo, error) {
	if err := dgst.Validate(); err != nil { // it becomes part of a path
		return nil, fmt.Errorf("digest %q: %w", dgst, errdefs.ErrInvalidArgument)
	}
	fi, err := os.Stat(s.blob(dgst))
	if os.IsNotExist(err) {
		return nil, fmt.Errorf("OCI layout %q: blob %s: %w", s.dir, dgst, errdefs.ErrNotFound)
	}
	return fi, err
}

// ReaderAt implements content.Provider.
func (s layoutStore) ReaderAt(_ context.Context, desc ocispecs.Descriptor) (content.ReaderAt, error) {
	if _, err := s.stat(desc.Digest); err != nil {
		return nil, err
	}
	return contentlocal.OpenReader(s.blob(desc.Digest))
}

func (s layoutStore) readOnly() error {
	return fmt.Errorf("OCI layout %q is only read: %w", s.dir, errdefs.ErrPermissionDenied)
}

// Walk implements content.Manager.
func (s layoutStore) Walk(context.Context, content.WalkFunc, ...string) error { return s.readOnly() }

// Update implements content.Manager.
func (s layoutStore) Update(context.Context, content.Info, ...string) (content.Info, error) {
	return content.Info{}, s.readOnly()
}

// Delete implements content.Manager.
func (s layoutStore) Delete(context.Context, digest.Digest) error { return s.readOnly() }

// Status implements content.IngestManager.
func (s layoutStore) Status(context.Context, string) (content.Status, error) {
	return content.Status{}, s.readOnly()
}

// ListStatuses implements content.IngestManager.
func (s layoutStore) ListStatuses(context.Context, ...string) ([]content.Status, error) {
	return nil, s.readOnly()
}

// Abort implements content.IngestManager.
func (s layoutStore) Abort(context.Context, string) error { return s.readOnly() }

// Writer implements content.Ingester.
func (s layoutStore) Writer(context.Context, ...content.WriterOpt) (content.Writer, error) {
	return nil, s.readOnly()
}
