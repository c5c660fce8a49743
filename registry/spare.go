package registry

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"
)

// spareAge is how long a connection is kept for which there is no use yet. Registries
// hang up on one that says nothing; after a build that took longer, the round trip
// that it would save is nothing.
const spareAge = 5 * time.Second

// spares dials more connections than one to where many will be needed at once. An
// upload that has to begin with connecting waits for a round trip more.
type spares struct {
	dial func(ctx context.Context, network, addr string) (net.Conn, error)

	mu   sync.Mutex
	kept map[string][]*spare // by address; there is an entry for each that has had some
}

// spare is a connection, or one that is being made.
type spare struct {
	done chan struct{} // closed when the others are set
	conn net.Conn
	err  error
}

// sparesKey is for how many connections to the host a context wants to be spare.
type sparesKey struct{}

type sparesWanted struct {
	host  string // as in a URL
	count int
}

func withSpares(ctx context.Context, host string, count int) context.Context {
	return context.WithValue(ctx, sparesKey{}, sparesWanted{host, count})
}

// DialContext gives a spare connection, or makes one; with the first one to the host
// that the context wants some for, it makes those too.
func (s *spares) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	if one := s.take(addr); one != nil {
		select {
		case <-one.done:
			if one.err == nil {
				return one.conn, nil
			}
		case <-ctx.Done():
			s.keep(addr, one)
			return nil, context.Cause(ctx)
		}
	}
	if wanted, _ := ctx.Value(sparesKey{}).(sparesWanted); wanted.isFor(addr) {
		s.provide(context.WithoutCancel(ctx), network, addr, wanted.count)
	}
	return s.dial(ctx, network, addr)
}

// isFor is false for an address that is a proxy's, or that of a token server.
func (w sparesWanted) isFor(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if name, _, err := net.SplitHostPort(w.host); err == nil {
		return w.host == addr || name == host
	}
	return err == nil && host == w.host
}

func (s *spares) take(addr string) *spare {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.kept[addr]
	if len(list) == 0 {
		return nil
	}
	s.kept[addr] = list[1:]
	return list[0]
}

func (s *spares) keep(addr string, one *spare) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept[addr] = append(s.kept[addr], one)
}

// provide begins to make connections, unless the address has had its share.
func (s *spares) provide(ctx context.Context, network, addr string, count int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, had := s.kept[addr]; had {
		return
	}
	s.kept[addr] = nil
	for range count {
		one := &spare{done: make(chan struct{})}
		s.kept[addr] = append(s.kept[addr], one)
		go func() {
			one.conn, one.err = s.dial(ctx, network, addr)
			close(one.done)
			time.AfterFunc(spareAge, func() { s.drop(addr, one) })
		}()
	}
}

// drop closes a connection that is still spare.
func (s *spares) drop(addr string, one *spare) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.kept[addr], one); i >= 0 {
		s.kept[addr] = slices.Delete(s.kept[addr], i, i+1)
		if one.conn != nil {
			_ = one.conn.Close()
		}
	}
}
