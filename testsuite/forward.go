package testsuite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/moby/buildkit/solver/pb"

	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/testsuite/helper/protocol"
)

// forwardID is the agent that leads to a forward: the only thing of it that the cache
// key of a test has.
func (f Forward) id() string { return "seatrial/forward/" + f.Name + "=" + f.Address }

func (f Forward) port() string {
	_, port, _ := net.SplitHostPort(f.Address)
	return port
}

// addForwards has what w wraps reach the forwards.
func addForwards(w *llb.Wrapper, run *protocol.Run, forwards []Forward, view viewpoint) {
	addresses := map[string]string{}
	for i, f := range forwards {
		name := strings.ToLower(f.Name)
		if addresses[name] == "" {
			// From the other end than the services, which are fewer.
			addresses[name] = view.address(253 - len(addresses))
			w.Hosts = append(w.Hosts, &pb.HostIP{Host: f.Name, IP: addresses[name]})
		}
		socket := llb.Socket{ID: f.id(), Path: fmt.Sprintf("/.seatrial/forward-%d.sock", i)}
		w.Sockets = append(w.Sockets, socket)
		run.Listen = append(run.Listen, protocol.Forward{Address: net.JoinHostPort(f.Name, f.port()), Socket: socket.Path})
	}
}

// forward passes a connection on to where f leads.
func (f Forward) serve(ctx context.Context, rw io.ReadWriter) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", f.Address)
	if err != nil {
		return fmt.Errorf("forwarding %s: %w", f.Name, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	go func() {
		_, err := io.Copy(conn, rw)
		if tcp, ok := conn.(*net.TCPConn); ok && err == nil {
			_ = tcp.CloseWrite() // the answer may still come
			return
		}
		_ = conn.Close()
	}()
	if _, err := io.Copy(rw, conn); err != nil && !errors.Is(err, net.ErrClosed) && ctx.Err() == nil {
		return fmt.Errorf("forwarding %s: %w", f.Name, err)
	}
	return nil
}

// forwards are those of all tests.
func (s *Suite) forward(id string) (Forward, bool) {
	if !strings.HasPrefix(id, "seatrial/forward/") {
		return Forward{}, false
	}
	all := slices.Clone(s.Default.Forwards)
	for _, t := range s.Tests {
		all = append(all, t.Forwards...)
	}
	i := slices.IndexFunc(all, func(f Forward) bool { return f.id() == id })
	if i < 0 {
		return Forward{}, false
	}
	return all[i], true
}
