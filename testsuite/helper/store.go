package helper

import (
	"bytes"
	"context"
	"fmt"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/errdefs"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// Store offers images to a daemon, to read.
func Store(images ...*Image) content.Store {
	s := store{}
	for _, image := range images {
		for dgst, blob := range image.blobs {
			s[dgst] = blob
		}
	}
	return s
}

// store is the blobs of images.
type store map[digest.Digest]blob

func (s store) find(dgst digest.Digest) (blob, error) {
	found, ok := s[dgst]
	if !ok {
		return blob{}, fmt.Errorf("blob %s of the test helper: %w", dgst, errdefs.ErrNotFound)
	}
	return found, nil
}

// Info implements content.InfoProvider.
func (s store) Info(_ context.Context, dgst digest.Digest) (content.Info, error) {
	found, err := s.find(dgst)
	return content.Info{Digest: dgst, Size: found.size}, err
}

// ReaderAt implements content.Provider.
func (s store) ReaderAt(_ context.Context, desc ocispecs.Descriptor) (content.ReaderAt, error) {
	found, err := s.find(desc.Digest)
	if err != nil {
		return nil, err
	}
	raw, err := found.open()
	if err != nil {
		return nil, err
	}
	return reader{bytes.NewReader(raw)}, nil
}

// reader is a blob that is read.
type reader struct{ *bytes.Reader }

// Close implements io.Closer.
func (reader) Close() error { return nil }

func (store) readOnly() error {
	return fmt.Errorf("the test helper's images are only read: %w", errdefs.ErrPermissionDenied)
}

// Walk implements content.Manager.
func (s store) Walk(context.Context, content.WalkFunc, ...string) error { return s.readOnly() }

// Update implements content.Manager.
func (s store) Update(context.Context, content.Info, ...string) (content.Info, error) {
	return content.Info{}, s.readOnly()
}

// Delete implements content.Manager.
func (s store) Delete(context.Context, digest.Digest) error { return s.readOnly() }

// Status implements content.IngestManager.
func (s store) Status(context.Context, string) (content.Status, error) {
	return content.Status{}, s.readOnly()
}

// ListStatuses implements content.IngestManager.
func (s store) ListStatuses(context.Context, ...string) ([]content.Status, error) {
	return nil, s.readOnly()
}

// Abort implements content.IngestManager.
func (s store) Abort(context.Context, string) error { return s.readOnly() }

// Writer implements content.Ingester.
func (s store) Writer(context.Context, ...content.WriterOpt) (content.Writer, error) {
	return nil, s.readOnly()
}
