package registry

import (
	"context"
	"fmt"
	"io"
	"runtime"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"golang.org/x/sync/errgroup"
)

// verifyBlobs reads every blob that would be pushed with the artifact. Its manifests
// were verified as they were read.
func verifyBlobs(ctx context.Context, s Store, a Artifact) error {
	t, err := newTree(a)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, l := range t.blobs {
		desc, err := partial.Descriptor(l)
		if err != nil {
			return err
		}
		g.Go(func() error { return verifyFile(ctx, s, *desc) })
	}
	return g.Wait()
}

func verifyFile(ctx context.Context, s Store, desc v1.Descriptor) error {
	r, err := s.Open(ctx, desc)
	if err != nil {
		return fmt.Errorf("layer %w", err)
	}
	defer r.Close()
	if err := copyVerified(io.Discard, r, desc); err != nil {
		return fmt.Errorf("layer %s is damaged: %w", desc.Digest, err)
	}
	return nil
}
