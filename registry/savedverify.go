package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"

	"github.com/containerd/errdefs"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"
)

// verifyAll reads every blob that would be pushed with desc.
func verifyAll(ctx context.Context, s Store, desc v1.Descriptor) error {
	v := &verifier{store: s, layers: map[v1.Hash]v1.Descriptor{}}
	if err := v.manifest(ctx, desc); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, l := range v.layers {
		g.Go(func() error { return v.blob(ctx, "layer", l, io.Discard) })
	}
	return g.Wait()
}

// verifier makes sure of blobs.
type verifier struct {
	store  Store
	layers map[v1.Hash]v1.Descriptor // still to be read
}

// manifest verifies all that desc names, but for the layers.
func (v *verifier) manifest(ctx context.Context, desc v1.Descriptor) error {
	switch {
	case desc.MediaType.IsIndex():
		raw, err := v.small(ctx, "index", desc)
		if err != nil {
			return err
		}
		index, err := v1.ParseIndexManifest(bytes.NewReader(raw))
		if err != nil {
			return fmt.Errorf("parsing index %s: %w", desc.Digest, err)
		}
		for _, child := range index.Manifests {
			if err := v.manifest(ctx, child); err != nil {
				return fmt.Errorf("in index %s: %w", desc.Digest, err)
			}
		}
		return nil
	case desc.MediaType.IsImage():
		raw, err := v.small(ctx, "manifest", desc)
		if err != nil {
			return err
		}
		manifest, err := v1.ParseManifest(bytes.NewReader(raw))
		if err != nil {
			return fmt.Errorf("parsing manifest %s: %w", desc.Digest, err)
		}
		for _, l := range manifest.Layers {
			if l.MediaType.IsDistributable() {
				v.layers[l.Digest] = l
			}
		}
		_, err = v.small(ctx, "config", manifest.Config)
		return err
	}
	return fmt.Errorf("%s is no image: its media type is %q", desc.Digest, desc.MediaType)
}

// small verifies a blob and returns it.
func (v *verifier) small(ctx context.Context, what string, desc v1.Descriptor) ([]byte, error) {
	if desc.Size > maxMetadata {
		return nil, fmt.Errorf("%s %s: %d bytes are too many", what, desc.Digest, desc.Size)
	}
	var buf bytes.Buffer
	err := v.blob(ctx, what, desc, &buf)
	return buf.Bytes(), err
}

func (v *verifier) blob(ctx context.Context, what string, desc v1.Descriptor, w io.Writer) error {
	r, err := v.store.Open(ctx, desc)
	switch {
	case errdefs.IsNotFound(err), errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s %s is missing", what, desc.Digest)
	case err != nil:
		return fmt.Errorf("%s %s: %w", what, desc.Digest, err)
	}
	defer r.Close()
	if err := copyVerified(w, r, desc); err != nil {
		return fmt.Errorf("%s %s is damaged: %w", what, desc.Digest, err)
	}
	return nil
}
