package registry

import (
	"bytes"
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// index is an index of a Store. All that it refers to is in memory, except for
// layers.
type index struct {
	desc     v1.Descriptor
	raw      []byte
	manifest *v1.IndexManifest
	children map[v1.Hash]Artifact
}

var _ v1.ImageIndex = (*index)(nil)

func (l *loader) index(ctx context.Context, desc v1.Descriptor, within int) (*index, error) {
	if within == maxNesting {
		return nil, fmt.Errorf("reading index %s: it is in %d indexes, one in the other: that is too deep", desc.Digest, maxNesting)
	}
	raw, err := readVerified(ctx, l.store, desc)
	if err != nil {
		return nil, fmt.Errorf("reading index: %w", err)
	}
	manifest, err := v1.ParseIndexManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("parsing index %s: %w", desc.Digest, err)
	}
	x := &index{desc: desc, raw: raw, manifest: manifest, children: map[v1.Hash]Artifact{}}
	for _, child := range manifest.Manifests {
		a, err := l.artifact(ctx, child, within+1)
		if err != nil && within == 0 {
			err = fmt.Errorf("in index %s: %w", desc.Digest, err)
		}
		if err != nil {
			return nil, err
		}
		x.children[child.Digest] = a
	}
	return x, nil
}

func (x *index) MediaType() (types.MediaType, error)       { return x.desc.MediaType, nil }
func (x *index) Digest() (v1.Hash, error)                  { return x.desc.Digest, nil }
func (x *index) Size() (int64, error)                      { return int64(len(x.raw)), nil }
func (x *index) RawManifest() ([]byte, error)              { return x.raw, nil }
func (x *index) IndexManifest() (*v1.IndexManifest, error) { return x.manifest, nil }

func (x *index) Image(digest v1.Hash) (v1.Image, error) {
	if img, ok := x.children[digest].(v1.Image); ok {
		return img, nil
	}
	return nil, fmt.Errorf("finding image %s in index %s: no such image", digest, x.desc.Digest)
}

func (x *index) ImageIndex(digest v1.Hash) (v1.ImageIndex, error) {
	if idx, ok := x.children[digest].(v1.ImageIndex); ok {
		return idx, nil
	}
	return nil, fmt.Errorf("finding index %s in index %s: no such index", digest, x.desc.Digest)
}
