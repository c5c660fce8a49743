package registry

import (
	"context"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Check makes sure that blobs may be pushed to every repository, by beginning an
// upload there and cancelling it; nothing is left behind. Many registries give a
// token to anybody who asks, and only refuse the upload. The first failure, an
// *Error, ends the others.
//
// Check uses connections of its own and, unlike the other methods, may run at the
// same time as they.
func (p *Push) Check(ctx context.Context) error {
	return each(ctx, p.dests, func(ctx context.Context, d *dest) error {
		// A registry may want more rights for the cancelling than for the push,
		// and go-containerregistry then asks for those with every later token:
		// not on the connection that the push depends on.
		c, err := p.network.dial(ctx, d.repo, []string{d.repo.Scope(transport.PushScope)})
		if err != nil {
			return err
		}
		return c.retry.do(ctx, c.tryUpload)
	})
}

// tryUpload begins an upload and cancels it.
func (c *conn) tryUpload(ctx context.Context) error {
	location, err := c.startUpload(ctx, &blobUpload{})
	if err != nil {
		return c.errorf(err, "asking to push to %s", c.repo)
	}
	if location != nil {
		c.forget(context.WithoutCancel(ctx), location)
	}
	return nil
}
