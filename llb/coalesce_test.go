package llb

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
)

// countingConn notes how it is written to. Each write waits for the test's leave.
type countingConn struct {
	net.Conn
	leave  chan struct{}
	writes int
	most   int // bytes in one
}

func (c *countingConn) Write(p []byte) (int, error) {
	<-c.leave
	c.writes++
	c.most = max(c.most, len(p))
	return c.Conn.Write(p)
}

func TestCoalescing(t *testing.T) {
	near, far := net.Pipe()
	under := &countingConn{Conn: near, leave: make(chan struct{})}
	c := newCoalescingConn(under)
	var want []byte
	for i := range 10_000 {
		piece := []byte{byte(i), byte(i >> 8), 'x'}
		want = append(want, piece...)
		if n, err := c.Write(piece); n != len(piece) || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	close(under.leave)
	comesOut(t, c, far, want)
	if under.writes > 2 { // what was there first, and all that came during that write
		t.Errorf("%d writes to the connection, want 2 at most", under.writes)
	}
}

// comesOut reads what was written to c at the far end, and closes c.
func comesOut(t *testing.T, c io.Closer, far io.Reader, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(far, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("the bytes came out other than they went in")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// What is more than gRPC's buffers take goes out in pieces, in order.
func TestCoalescingPieces(t *testing.T) {
	near, far := net.Pipe()
	under := &countingConn{Conn: near, leave: make(chan struct{})}
	close(under.leave)
	c := newCoalescingConn(under)
	want := bytes.Repeat([]byte("0123456789abcde"), 8<<10)
	if n, err := c.Write(want); n != len(want) || err != nil {
		t.Fatalf("Write = %d, %v", n, err)
	}
	comesOut(t, c, far, want)
	if under.most > pieceLimit || under.most < pieceLimit/2 {
		t.Errorf("%d bytes in one write, want up to %d", under.most, pieceLimit)
	}
}

// A peer that reads nothing makes writers wait, and Close ends their waiting.
func TestCoalescingLimit(t *testing.T) {
	near, _ := net.Pipe()
	c := newCoalescingConn(near)
	failed := make(chan error)
	go func() {
		for written := 0; ; written += 1 << 10 {
			if _, err := c.Write(make([]byte, 1<<10)); err != nil {
				if written > 3*coalesceLimit {
					t.Errorf("%d bytes taken from a writer that nobody reads from, want %d at most", written, 3*coalesceLimit)
				}
				failed <- err
				return
			}
		}
	}()
	c.mu.Lock()
	for len(c.waiting) < coalesceLimit {
		c.changed.Wait()
	}
	c.mu.Unlock()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-failed; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Write = %v after Close, want %v", err, net.ErrClosed)
	}
}

// What broke the connection is what later writes fail of.
func TestCoalescingError(t *testing.T) {
	near, far := net.Pipe()
	if err := far.Close(); err != nil {
		t.Fatal(err)
	}
	c := newCoalescingConn(near)
	if _, err := c.Write([]byte("lost")); err != nil {
		t.Errorf("first Write = %v, want none: it is not out yet", err)
	}
	<-c.ended
	if _, err := c.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Write = %v, want %v", err, io.ErrClosedPipe)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
