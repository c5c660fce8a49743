package registry

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// dialler makes connections, none of which leads anywhere.
type dialler struct {
	mu      sync.Mutex
	dialled int
	far     []net.Conn
	err     error
}

func (d *dialler) dial(context.Context, string, string) (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dialled++
	if d.err != nil {
		return nil, d.err
	}
	near, far := net.Pipe()
	d.far = append(d.far, far)
	return near, nil
}

func TestSpares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dialler{}
		s := &spares{dial: d.dial, kept: map[string][]*spare{}}
		dial := func(ctx context.Context, addr string, want int) {
			t.Helper()
			c, err := s.DialContext(ctx, "tcp", addr)
			synctest.Wait()
			if err != nil || d.dialled != want {
				t.Fatalf("dialling %s: %v after %d connections, want %d", addr, err, d.dialled, want)
			}
			c.Close()
		}
		ctx := withSpares(t.Context(), "registry.example", 3)
		dial(ctx, "proxy.example:3128", 1)
		dial(t.Context(), "registry.example:443", 2)
		dial(ctx, "registry.example:443", 2+1+3)
		dial(t.Context(), "registry.example:443", 6)
		dial(ctx, "registry.example:443", 6)
		time.Sleep(spareAge + time.Second)
		synctest.Wait()
		if _, err := d.far[5].Read(make([]byte, 1)); err == nil {
			t.Error("a spare connection was not closed when its time was up")
		}
		dial(ctx, "registry.example:443", 7)
	})
}

// A connection that could not be made ahead is made when it is needed.
func TestSparesThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dialler{err: errors.New("no route")}
		s := &spares{dial: d.dial, kept: map[string][]*spare{}}
		ctx := withSpares(t.Context(), "localhost:5000", 1)
		if _, err := s.DialContext(ctx, "tcp", "localhost:5000"); !errors.Is(err, d.err) {
			t.Fatalf("dialling = %v, want %v", err, d.err)
		}
		synctest.Wait()
		d.err = nil
		c, err := s.DialContext(ctx, "tcp", "localhost:5000")
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	})
}
