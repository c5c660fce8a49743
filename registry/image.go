package registry

import (
	"bytes"
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// image is an image of a Store. Its manifest and config are in memory.
type image struct {
	v1.Image // the methods that partial can derive from imageCore
	core     *imageCore
}

// Layers gives our own layers where partial would hide them in its own type:
// the push asks them where they can be mounted from.
func (i *image) Layers() ([]v1.Layer, error) {
	layers := make([]v1.Layer, 0, len(i.core.manifest.Layers))
	for _, desc := range i.core.manifest.Layers {
		layers = append(layers, i.core.loader.layer(desc))
	}
	return layers, nil
}

// imageCore is what partial needs to be an image.
type imageCore struct {
	loader   *loader
	desc     v1.Descriptor
	raw      []byte
	manifest *v1.Manifest
	config   []byte
}

var _ partial.CompressedImageCore = (*imageCore)(nil)

func (l *loader) image(ctx context.Context, desc v1.Descriptor) (*image, error) {
	raw, err := readVerified(ctx, l.store, desc)
	if err != nil {
		return nil, fmt.Errorf("reading manifest: %w", err)
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("parsing manifest %s: %w", desc.Digest, err)
	}
	config, err := readVerified(ctx, l.store, manifest.Config)
	if err != nil {
		return nil, fmt.Errorf("reading config of %s: %w", desc.Digest, err)
	}
	core := &imageCore{loader: l, desc: desc, raw: raw, manifest: manifest, config: config}
	whole, err := partial.CompressedToImage(core)
	if err != nil {
		return nil, err
	}
	return &image{Image: whole, core: core}, nil
}

func (c *imageCore) MediaType() (types.MediaType, error) { return c.desc.MediaType, nil }
func (c *imageCore) RawManifest() ([]byte, error)        { return c.raw, nil }
func (c *imageCore) RawConfigFile() ([]byte, error)      { return c.config, nil }
func (c *imageCore) Manifest() (*v1.Manifest, error)     { return c.manifest, nil }
func (c *imageCore) Descriptor() (*v1.Descriptor, error) { return &c.desc, nil }

func (c *imageCore) LayerByDigest(digest v1.Hash) (partial.CompressedLayer, error) {
	if digest == c.manifest.Config.Digest {
		return c.loader.layer(c.manifest.Config), nil
	}
	for _, desc := range c.manifest.Layers {
		if desc.Digest == digest {
			return c.loader.layer(desc), nil
		}
	}
	return nil, fmt.Errorf("finding layer %s in image %s: no such layer", digest, c.desc.Digest)
}
