package registry

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/containerd/errdefs"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// layer is a layer of a Store, or of a base image in its registry.
type layer struct {
	v1.Layer // DiffID and Uncompressed, derived from the rest
	loader   *loader
	desc     v1.Descriptor
}

func (l *loader) layer(desc v1.Descriptor) *layer {
	whole := &layer{loader: l, desc: desc}
	// CompressedToLayer has no error to give.
	whole.Layer, _ = partial.CompressedToLayer(layerCore{whole})
	return whole
}

func (l *layer) Digest() (v1.Hash, error)            { return l.desc.Digest, nil }
func (l *layer) Size() (int64, error)                { return l.desc.Size, nil }
func (l *layer) MediaType() (types.MediaType, error) { return l.desc.MediaType, nil }
func (l *layer) Descriptor() (*v1.Descriptor, error) { return &l.desc, nil }
func (l *layer) Compressed() (io.ReadCloser, error)  { return l.open(l.loader.ctx) }

// layerCore hides from partial the methods that it is to supply.
type layerCore struct{ l *layer }

func (c layerCore) Digest() (v1.Hash, error)            { return c.l.Digest() }
func (c layerCore) Size() (int64, error)                { return c.l.Size() }
func (c layerCore) MediaType() (types.MediaType, error) { return c.l.MediaType() }
func (c layerCore) Compressed() (io.ReadCloser, error)  { return c.l.Compressed() }

// open reads the layer from the store, else from the registry of the base that
// has it, else from the store after the daemon was told to fetch it.
func (l *layer) open(ctx context.Context) (io.ReadCloser, error) {
	r, err := l.loader.store.Open(ctx, l.desc)
	if err == nil || !errdefs.IsNotFound(err) {
		return r, err
	}
	r, sourceErr := l.loader.bases.open(ctx, l.desc)
	if sourceErr == nil {
		return r, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if ok, err := l.loader.bases.materialize(ctx); err != nil {
		return nil, fmt.Errorf("fetching layer %s: %w", l.desc.Digest, err)
	} else if ok {
		r, err = l.loader.store.Open(ctx, l.desc)
		if err == nil || !errdefs.IsNotFound(err) {
			return r, err
		}
	}
	if errors.Is(sourceErr, errNoBase) {
		return nil, fmt.Errorf("reading layer %s: %w", l.desc.Digest, ErrBlobMissing)
	}
	return nil, fmt.Errorf("reading layer %s, which is not in the content store: %w", l.desc.Digest, sourceErr)
}
