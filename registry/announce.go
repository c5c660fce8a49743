package registry

import (
	"context"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// announcedFor is how long an upload that was begun is used. A registry may have
// forgotten it later, and the round trip that it saves is nothing after a test that
// takes longer.
const announcedFor = 10 * time.Second

// Announce has every registry that Upload has just brought the artifact to begin as many
// uploads, for blobs that are made before Commit, and not known yet: statements about the
// artifact. They are then sent without asking first, which saves a round trip between
// the verdict and the tag. It does not wait, nor fail: what could not be begun is begun
// later.
//
// Drop must be called in the end. It cancels what was not used, and waits for that, unless
// ctx has ended.
func (p *Push) Announce(ctx context.Context, blobs int) (drop func()) {
	var all []*begun
	for _, group := range p.byRegistry() {
		if d := group[0]; d.conn != nil && len(d.ready) > 0 { // the others mount
			d.begun = begin(ctx, d.conn, blobs)
			all = append(all, d.begun)
		}
	}
	return func() {
		_ = each(ctx, all, func(ctx context.Context, b *begun) error {
			b.cancel(ctx)
			return nil
		})
	}
}

// begun are uploads that a registry was asked to take, of blobs that are yet to come.
type begun struct {
	conn  *conn
	until time.Time
	left  atomic.Int32
	at    chan *url.URL // nil for one that could not be begun
}

func begin(ctx context.Context, c *conn, count int) *begun {
	b := &begun{conn: c, until: time.Now().Add(announcedFor), at: make(chan *url.URL, count)}
	b.left.Store(int32(count)) //nolint:gosec // a few
	for range count {
		go func() {
			location, err := c.startUpload(ctx, &blobUpload{})
			if err != nil {
				location = nil
			}
			b.at <- location
		}()
	}
	return b
}

// take is where to put a blob, nil if there is no such place. One that is just being
// begun is there sooner than one that would be begun now.
func (b *begun) take(ctx context.Context) *url.URL {
	if b == nil || time.Now().After(b.until) {
		return nil
	}
	location, _ := b.next(ctx)
	return location
}

// next is one that is left; ok is false if there is none.
func (b *begun) next(ctx context.Context) (location *url.URL, ok bool) {
	if b.left.Add(-1) < 0 {
		return nil, false
	}
	select {
	case location = <-b.at:
	case <-ctx.Done():
		b.left.Add(1) // nobody has it: cancel will
	}
	return location, true
}

// cancel has the registry forget those that nobody has taken. It is the last that is
// done with the connection: see Check.
func (b *begun) cancel(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for ctx.Err() == nil {
		location, ok := b.next(ctx)
		if !ok {
			return
		}
		if location != nil {
			wg.Go(func() { b.conn.forget(context.WithoutCancel(ctx), location) })
		}
	}
}
