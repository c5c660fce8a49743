package helper

import (
	"encoding/json"
	"fmt"
	"sync"

	digest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seatrial/seatrial/testsuite/helper/layer"
)

const (
	// StoreID names the content store that has the images, for llb.OCIStore.
	StoreID = "seatrial-helper"
	// SessionStoreID is how the session that offers it must call the same store.
	SessionStoreID = "oci:" + StoreID
)

// Image is an OCI image with one layer, which holds the helper for one
// architecture, in the directory that is to be mounted at protocol.BinDir. The
// same helper gives the same digests.
type Image struct {
	// Manifest describes the image.
	Manifest ocispecs.Descriptor
	// blobs are the manifest, the configuration, and the layer.
	blobs map[digest.Digest]blob
}

// blob is a part of an image, which is made when it is read.
type blob struct {
	size int64
	open func() ([]byte, error)
}

// NewImage makes the image for an architecture. Variants, counted from 0, have the same
// program and other digests: a daemon (v0.34) that was interrupted while it fetched a
// blob from a session can fetch that blob no more, for as long as it keeps what it has
// of it ("unsupported offset"). The error is that of Open.
//
// Of the first variant, nothing is unpacked before the layer is read: most daemons have
// it already.
func NewImage(arch string, variant int) (*Image, error) {
	if variant == 0 {
		desc, err := describe(arch)
		if err != nil {
			return nil, err
		}
		return newImage(arch, desc, sync.OnceValues(func() ([]byte, error) {
			program, err := Open(arch)
			if err != nil {
				return nil, err
			}
			return layer.Of(program, 0)
		}))
	}
	program, err := Open(arch)
	if err != nil {
		return nil, err
	}
	return ImageOf(arch, program, variant)
}

// ImageOf makes the image of a program.
func ImageOf(arch string, program []byte, variant int) (*Image, error) {
	raw, err := layer.Of(program, variant)
	if err != nil {
		return nil, err
	}
	return newImage(arch, layer.Describe(raw), func() ([]byte, error) { return raw, nil })
}

func newImage(arch string, layer ocispecs.Descriptor, open func() ([]byte, error)) (*Image, error) {
	image := &Image{blobs: map[digest.Digest]blob{layer.Digest: {layer.Size, open}}}
	platform := ocispecs.Platform{OS: "linux", Architecture: arch}
	config, err := image.addJSON(ocispecs.MediaTypeImageConfig, ocispecs.Image{
		Platform: platform,
		RootFS:   ocispecs.RootFS{Type: "layers", DiffIDs: []digest.Digest{layer.Digest}},
	})
	if err != nil {
		return nil, err
	}
	image.Manifest, err = image.addJSON(ocispecs.MediaTypeImageManifest, ocispecs.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispecs.MediaTypeImageManifest,
		Config:    config,
		Layers:    []ocispecs.Descriptor{layer},
	})
	if err != nil {
		return nil, err
	}
	image.Manifest.Platform = &platform
	return image, nil
}

// Reference names the image for llb.OCILayout. It is by digest: where a daemon has
// the image, it asks for the manifest at most.
func (i *Image) Reference() string {
	return StoreID + "/" + i.Manifest.Platform.Architecture + "@" + i.Manifest.Digest.String()
}

func (i *Image) addJSON(mediaType string, v any) (ocispecs.Descriptor, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return ocispecs.Descriptor{}, fmt.Errorf("encoding %s: %w", mediaType, err)
	}
	desc := ocispecs.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
	i.blobs[desc.Digest] = blob{desc.Size, func() ([]byte, error) { return raw, nil }}
	return desc, nil
}
