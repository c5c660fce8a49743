package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/sync/errgroup"
)

// verifyDest asks a repository for every manifest and blob of the tree.
func (p *Push) verifyDest(ctx context.Context, d *dest, t *tree) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(p.jobs)
	for _, m := range t.manifests() {
		g.Go(func() error {
			return d.conn.retry.do(ctx, func(ctx context.Context) error { return d.conn.verifyManifest(ctx, m) })
		})
	}
	for _, blob := range t.blobs {
		g.Go(func() error {
			return d.conn.retry.do(ctx, func(ctx context.Context) error { return d.conn.verifyBlob(ctx, blob) })
		})
	}
	return g.Wait()
}

func (c *conn) verifyManifest(ctx context.Context, m *manifest) error {
	ref := c.repo.Digest(m.digest.String())
	seen, err := c.look(ctx, ref)
	if err == nil && !seen.holds(m.digest) {
		err = c.errorf(absent(seen.digest), "verifying %s", ref)
	}
	return err
}

func absent(got v1.Hash) error {
	if got == (v1.Hash{}) {
		return errors.New("the registry does not have it, though it said so")
	}
	return fmt.Errorf("the registry says that it is %s", got)
}

func (c *conn) verifyBlob(ctx context.Context, blob v1.Layer) error {
	digest, err := blob.Digest()
	if err != nil {
		return err
	}
	size, err := blob.Size()
	if err != nil {
		return err
	}
	resp, err := c.do(ctx, http.MethodHead, c.url("blobs/"+digest.String()), nil)
	if err != nil {
		return c.errorf(err, "verifying layer %s in %s", digest, c.repo)
	}
	defer resp.Body.Close()
	err = transport.CheckError(resp, http.StatusOK, http.StatusNotFound)
	switch {
	case err != nil:
	case resp.StatusCode == http.StatusNotFound:
		err = absent(v1.Hash{})
	case resp.ContentLength >= 0 && resp.ContentLength != size:
		err = fmt.Errorf("the registry has %d bytes of %d", resp.ContentLength, size)
	}
	return c.errorf(err, "verifying layer %s in %s", digest, c.repo)
}
