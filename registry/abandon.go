package registry

import (
	"context"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

// abandonTimeout bounds how long a push that is broken off waits for a registry to forget
// uploads that were begun.
const abandonTimeout = time.Second

// abandonPause is the first wait of a registry that is still busy with what broke off.
const abandonPause = 10 * time.Millisecond

// lingering is a context that ends abandonTimeout after ctx does, for what has to be
// tidied up then.
func lingering(ctx context.Context) (context.Context, context.CancelFunc) {
	after, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		limit := time.AfterFunc(abandonTimeout, cancel)
		context.AfterFunc(after, func() { limit.Stop() })
	})
	return after, func() {
		stop()
		cancel()
	}
}

// abandon is forget for a connection that is used on.
func (c *conn) abandon(ctx context.Context, location *url.URL) {
	ctx, cancel := context.WithTimeout(ctx, abandonTimeout)
	defer cancel()
	if c.wire.bearer.Load() {
		var err error
		if c, err = c.aside.get(ctx); err != nil {
			return
		}
	}
	c.forget(ctx, location)
}

// forget has the registry forget an upload that came to nothing, and the bytes it has
// of it, as well as that can be done within abandonTimeout: nobody else would ever ask
// for it, and a registry that is full stays full of them.
func (c *conn) forget(ctx context.Context, location *url.URL) {
	ctx, cancel := context.WithTimeout(ctx, abandonTimeout)
	defer cancel()
	for wait := abandonPause; ; wait *= 2 {
		status, err := c.deleteUpload(ctx, location)
		if err != nil || status != http.StatusRequestedRangeNotSatisfiable && status < http.StatusInternalServerError {
			return
		}
		// The distribution project's registry deletes only where it is told how much
		// it has got, which a Location says; before version 3 there is no such way. It
		// may not have noticed yet that the connection is gone, and fails while it
		// still writes what it had received.
		if location = c.uploadNow(ctx, location); location == nil || sleep(ctx, wait) != nil {
			return
		}
	}
}

func (c *conn) deleteUpload(ctx context.Context, location *url.URL) (status int, err error) {
	resp, err := c.do(ctx, http.MethodDelete, location, nil)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// uploadNow is the Location of an upload as it is now, nil if the registry does not say.
func (c *conn) uploadNow(ctx context.Context, location *url.URL) *url.URL {
	resp, err := c.do(ctx, http.MethodGet, location, nil)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	now, err := uploadLocation(resp)
	if err != nil || resp.StatusCode >= http.StatusMultipleChoices {
		return nil
	}
	return now
}

// aside is a connection beside the one that a push depends on. A registry may want more
// rights for the deleting of an upload, and go-containerregistry then asks for those with
// every later token.
type aside struct {
	dial  func(context.Context) (*conn, error)
	group singleflight.Group
	conn  atomic.Pointer[conn]
}

// get connects, once for all who want it at the same time.
func (a *aside) get(ctx context.Context) (*conn, error) {
	_, err, _ := a.group.Do("", func() (any, error) {
		if a.conn.Load() != nil {
			return nil, nil
		}
		c, err := a.dial(ctx)
		if err == nil {
			a.conn.Store(c)
		}
		return nil, err
	})
	return a.conn.Load(), err
}
