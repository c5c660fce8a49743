package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// maxFile bounds what ReadFile holds in memory.
const maxFile = 4 << 20

// WriteFile keeps a small file in a registry, under a tag: as an image manifest
// with the file for its only layer, and the file's media type for that of its
// configuration, which is how artifacts are told apart where there is no
// artifactType (OCI image specification 1.1, "Guidelines for Artifact Usage").
func WriteFile(ctx context.Context, ref name.Reference, mediaType string, data []byte, opt Options) error {
	img, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), static.NewLayer(data, types.MediaType(mediaType)))
	if err != nil {
		return fmt.Errorf("making an artifact of a file: %w", err)
	}
	push, err := NewPush([]name.Reference{ref}, opt)
	if err != nil {
		return err
	}
	_, err = push.Commit(ctx, mutate.ConfigMediaType(img, types.MediaType(mediaType)))
	return err
}

// ReadFile reads a file that WriteFile wrote. It is nil if there is no such tag, and
// an error if the tag names something else.
func ReadFile(ctx context.Context, ref name.Reference, mediaType string, opt Options) ([]byte, error) {
	conn, err := newNetwork(opt).dial(ctx, ref.Context(), []string{ref.Context().Scope(transport.PullScope)})
	if err != nil {
		return nil, err
	}
	desc, err := conn.puller.Get(ctx, ref)
	var answer *transport.Error
	if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, conn.errorf(err, "reading %s", ref)
	}
	img, err := desc.Image()
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", ref, err)
	}
	m, err := img.Manifest()
	if err != nil {
		return nil, conn.errorf(err, "reading %s", ref)
	}
	if len(m.Layers) != 1 || string(m.Layers[0].MediaType) != mediaType {
		return nil, fmt.Errorf("reading %s: it is no %s", ref, mediaType)
	}
	return conn.readAll(ctx, m.Layers[0])
}

func (c *conn) readAll(ctx context.Context, desc v1.Descriptor) ([]byte, error) {
	if desc.Size > maxFile {
		return nil, fmt.Errorf("reading %s of %s: %d bytes are more than %d", desc.Digest, c.repo, desc.Size, maxFile)
	}
	r, err := c.blob(ctx, desc.Digest)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, maxFile))
}
