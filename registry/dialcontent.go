package registry

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	worthDialing = 1 << 20          // smaller blobs cost less on a connection that is there
	answerLimit  = 10 * time.Second // for a connection and the first bytes of a blob
)

// DialContent reads large blobs out of a daemon over connections of their own,
// and all others from next, which is the same daemon's DaemonContent. A blob that
// its own connection does not begin to give comes from next too, so that next
// alone says what is absent.
//
// gRPC shares a connection among streams, which costs a goroutine's turn and a
// buffer for each 16 KiB. A connection with a single stream needs neither: what
// is left is half of the client's work.
//
// The connections that dial makes are to end where the daemon listens, with TLS,
// if any, already on them. A nil dial stands for none: all comes from next.
func DialContent(dial func(context.Context) (net.Conn, error), next Store) Store {
	if dial == nil {
		return next
	}
	return &dialContent{Store: next, dial: dial, limit: answerLimit}
}

type dialContent struct {
	Store
	dial   func(context.Context) (net.Conn, error)
	limit  time.Duration
	silent atomic.Bool // there was no answer in time: perhaps nobody accepts connections any more
}

func (d *dialContent) Open(ctx context.Context, desc v1.Descriptor) (io.ReadCloser, error) {
	if desc.Size >= worthDialing && !d.silent.Load() {
		if r, err := d.stream(ctx, desc); err == nil {
			return r, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("opening blob %s: %w", desc.Digest, context.Cause(ctx))
		}
	}
	return d.Store.Open(ctx, desc)
}

// stream returns when the blob's first bytes are there.
func (d *dialContent) stream(ctx context.Context, desc v1.Descriptor) (_ *contentStream, err error) {
	deadline := time.Now().Add(d.limit)
	defer func() {
		if err != nil && time.Now().After(deadline) {
			d.silent.Store(true)
		}
	}()
	dialing, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	conn, err := d.dial(dialing)
	if err != nil {
		return nil, err
	}
	s := newContentStream(ctx, conn, desc)
	if err := s.begin(deadline); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}
