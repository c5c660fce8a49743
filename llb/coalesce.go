package llb

import (
	"context"
	"net"
	"slices"
	"sync"

	"github.com/moby/buildkit/session"
)

// coalesceLimit is how much waits for a write that is under way, before writers
// wait themselves.
const coalesceLimit = 128 << 10

// pieceLimit is how much goes out in one message. With what the message around it has,
// that is the last but one of the sizes that gRPC keeps buffers of: one for a larger
// message has 1 MiB, which it clears each time, here and in the daemon.
const pieceLimit = 32<<10 - 16

// coalescing has what is written to a session's connection during an earlier
// write go out in larger pieces afterwards. A context of many files is as many small
// messages, and each piece costs this side and the daemon a message of the
// protocol around it, and a system call.
func coalescing(dial session.Dialer) session.Dialer {
	return func(ctx context.Context, proto string, meta map[string][]string) (net.Conn, error) {
		conn, err := dial(ctx, proto, meta)
		if err != nil {
			return nil, err
		}
		return newCoalescingConn(conn), nil
	}
}

// coalescingConn is a connection whose Write returns before the bytes are out. An
// error of the connection is that of a later Write; Close drops what still waits.
type coalescingConn struct {
	net.Conn
	mu      sync.Mutex
	changed sync.Cond // any of the following
	waiting []byte
	err     error // why nothing can be written any more
	ended   chan struct{}
}

func newCoalescingConn(conn net.Conn) *coalescingConn {
	c := &coalescingConn{Conn: conn, ended: make(chan struct{})}
	c.changed.L = &c.mu
	go c.flush() // until Close, or an error
	return c
}

func (c *coalescingConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.waiting) >= coalesceLimit && c.err == nil {
		c.changed.Wait()
	}
	if c.err != nil {
		return 0, c.err
	}
	c.waiting = append(c.waiting, p...)
	c.changed.Broadcast()
	return len(p), nil
}

func (c *coalescingConn) flush() {
	defer close(c.ended)
	var spare []byte
	for {
		out, ok := c.take(spare)
		if !ok {
			return
		}
		for piece := range slices.Chunk(out, pieceLimit) {
			if _, err := c.Conn.Write(piece); err != nil {
				c.end(err)
				return
			}
		}
		spare = out
	}
}

// take waits for bytes to write. Later ones are collected in spare.
func (c *coalescingConn) take(spare []byte) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.waiting) == 0 && c.err == nil {
		c.changed.Wait()
	}
	if c.err != nil {
		return nil, false
	}
	out := c.waiting
	c.waiting = spare[:0]
	c.changed.Broadcast()
	return out, true
}

func (c *coalescingConn) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
	c.changed.Broadcast()
}

func (c *coalescingConn) Close() error {
	c.end(net.ErrClosed)
	err := c.Conn.Close()
	<-c.ended
	return err
}
