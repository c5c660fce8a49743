package registry

import (
	"bytes"
	"context"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// memory is a Store of blobs that were made here, above one that has the others.
type memory struct {
	blobs map[v1.Hash][]byte
	below Store // nil: there are no others
}

func (m *memory) Open(ctx context.Context, desc v1.Descriptor) (io.ReadCloser, error) {
	if b, ok := m.blobs[desc.Digest]; ok {
		return io.NopCloser(bytes.NewReader(b)), nil
	}
	if m.below == nil {
		return nil, ErrBlobMissing
	}
	return m.below.Open(ctx, desc)
}

func (m *memory) Has(ctx context.Context, digest v1.Hash) (bool, error) {
	if _, ok := m.blobs[digest]; ok || m.below == nil {
		return ok, nil
	}
	return m.below.Has(ctx, digest)
}

// add keeps a blob and describes it.
func (m *memory) add(mediaType types.MediaType, b []byte) (v1.Descriptor, error) {
	digest, size, err := v1.SHA256(bytes.NewReader(b))
	if err != nil {
		return v1.Descriptor{}, err
	}
	m.blobs[digest] = b
	return v1.Descriptor{MediaType: mediaType, Digest: digest, Size: size}, nil
}

// madeHere tells whether a blob was made by this process. That such a one is there
// already, while what refers to it is not, is too seldom to ask for it.
func madeHere(blob v1.Layer) bool {
	l, ok := blob.(*layer)
	if !ok {
		return false
	}
	m, ok := l.loader.store.(*memory)
	return ok && m.blobs[l.desc.Digest] != nil
}
