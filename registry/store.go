package registry

import (
	"context"
	"errors"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// ErrBlobMissing tells that a blob of the image is neither in the content store
// nor to be had from the registry of a base image. The usual reason is that the
// daemon pruned it; building again brings it back.
var ErrBlobMissing = errors.New("blob missing from the content store")

// Store reads the blobs of images.
type Store interface {
	// Open streams a blob from its first byte. The error for an absent blob
	// matches errdefs.IsNotFound of github.com/containerd/errdefs. The stream
	// ends when ctx does; one that breaks off in a way that opening the blob
	// again may cure returns an error that matches io.ErrUnexpectedEOF. A size below 0
	// is not known.
	Open(ctx context.Context, desc v1.Descriptor) (io.ReadCloser, error)

	// Has tells whether the blob is there, without reading it.
	Has(ctx context.Context, digest v1.Hash) (bool, error)
}
