package helper

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"time"

	digest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/seatrial/seatrial/testsuite/helper/protocol"
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
	// Blobs are the manifest, the configuration, and the layer.
	Blobs map[digest.Digest][]byte
}

// NewImage makes the image for an architecture. Variants, counted from 0, have the same
// program and other digests: a daemon (v0.34) that was interrupted while it fetched a
// blob from a session can fetch that blob no more, for as long as it keeps what it has
// of it ("unsupported offset"). The error is that of Open.
func NewImage(arch string, variant int) (*Image, error) {
	program, err := Open(arch)
	if err != nil {
		return nil, err
	}
	return ImageOf(arch, program, variant)
}

// ImageOf makes the image of a program.
func ImageOf(arch string, program []byte, variant int) (*Image, error) {
	layer, err := layerOf(program, variant)
	if err != nil {
		return nil, fmt.Errorf("making an image of the test helper for linux/%s: %w", arch, err)
	}
	image := &Image{Blobs: map[digest.Digest][]byte{}}
	platform := ocispecs.Platform{OS: "linux", Architecture: arch}
	// Not compressed: the digest then depends on the program alone, and not on who
	// compressed it.
	layerDesc := image.add(ocispecs.MediaTypeImageLayer, layer)
	config, err := image.addJSON(ocispecs.MediaTypeImageConfig, ocispecs.Image{
		Platform: platform,
		RootFS:   ocispecs.RootFS{Type: "layers", DiffIDs: []digest.Digest{layerDesc.Digest}},
	})
	if err != nil {
		return nil, err
	}
	image.Manifest, err = image.addJSON(ocispecs.MediaTypeImageManifest, ocispecs.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispecs.MediaTypeImageManifest,
		Config:    config,
		Layers:    []ocispecs.Descriptor{layerDesc},
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

func (i *Image) add(mediaType string, blob []byte) ocispecs.Descriptor {
	desc := ocispecs.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(blob), Size: int64(len(blob))}
	i.Blobs[desc.Digest] = blob
	return desc
}

func (i *Image) addJSON(mediaType string, v any) (ocispecs.Descriptor, error) {
	blob, err := json.Marshal(v)
	if err != nil {
		return ocispecs.Descriptor{}, fmt.Errorf("encoding %s: %w", mediaType, err)
	}
	return i.add(mediaType, blob), nil
}

// layerOf is a tar of one file, which everybody may execute.
func layerOf(program []byte, variant int) ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	header := &tar.Header{Typeflag: tar.TypeReg, Name: path.Base(protocol.Init), Mode: 0o755, Size: int64(len(program)), Format: tar.FormatUSTAR}
	if variant > 0 {
		header.ModTime = time.Unix(int64(variant), 0)
	}
	if err := w.WriteHeader(header); err != nil {
		return nil, err
	}
	if _, err := w.Write(program); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}
