package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"time"

	"github.com/seatrial/seatrial/testsuite/helper/protocol"
	"golang.org/x/sys/unix"
)

// links are the listeners of a set of forwards.
type links struct {
	mu        sync.Mutex
	listeners []net.Listener
	dirs      []string      // of sockets
	over      chan struct{} // closed at the end
	done      sync.WaitGroup
}

// open starts to forward. All addresses listen when it returns, but those of services
// that do not listen yet and are not to be waited for.
func open(f protocol.Forwards) (*links, error) {
	l := &links{over: make(chan struct{})}
	for _, f := range f.Listen {
		start := l.listen
		if f.Upward {
			start = l.upward
		}
		if err := start(f); err != nil {
			return nil, l.failed(f, err)
		}
	}
	for _, f := range f.Export {
		if err := l.export(f); err != nil {
			return nil, l.failed(f, err)
		}
	}
	for _, dir := range l.dirs[:min(1, len(l.dirs))] {
		go sweep(filepath.Dir(dir))
	}
	return l, nil
}

// listen has an address lead to a socket.
func (l *links) listen(f protocol.Forward) error {
	listener, err := net.Listen("tcp", f.Address)
	if err != nil {
		return err
	}
	l.serve(listener, func(conn net.Conn) { join(conn, func() (net.Conn, error) { return net.Dial("unix", f.Socket) }) })
	return nil
}

// export has a socket lead to an address, and another one tell whether there is anybody.
func (l *links) export(f protocol.Forward) error {
	for path, handle := range map[string]func(net.Conn){
		f.Socket:            func(conn net.Conn) { join(conn, func() (net.Conn, error) { return net.Dial("tcp", f.Address) }) },
		f.Socket + upSuffix: func(conn net.Conn) { tellUp(conn, f.Address) },
	} {
		listener, err := listenUnix(path)
		if err != nil {
			return err
		}
		l.serve(listener, handle)
	}
	l.dirs = append(l.dirs, filepath.Dir(f.Socket))
	return nil
}

func (l *links) failed(f protocol.Forward, err error) error {
	l.close()
	return l.named(f, err)
}

func (l *links) named(f protocol.Forward, err error) error {
	return fmt.Errorf("forwarding between %s and %s: %w", f.Address, f.Socket, err)
}

// listenUnix makes a socket that everybody may connect to, in a directory that
// everybody may use: tests and services run as users of their own.
func listenUnix(path string) (net.Listener, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o777); err != nil && !errors.Is(err, fs.ErrPermission) {
		return nil, err // its owner has seen to it otherwise
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o666); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}

// serve has each connection handled.
func (l *links) serve(listener net.Listener, handle func(net.Conn)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isOver() {
		_ = listener.Close() // nothing was accepted
		return
	}
	l.listeners = append(l.listeners, listener)
	l.done.Go(func() {
		for {
			conn, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil { // no file descriptors left, or a client that went away
				time.Sleep(again)
				continue
			}
			go handle(conn)
		}
	})
}

// close ends the listeners, which removes the sockets. Connections end with the
// process.
func (l *links) close() {
	l.mu.Lock()
	close(l.over)
	for _, listener := range l.listeners {
		_ = listener.Close() // it accepts no more either way
	}
	l.mu.Unlock()
	for _, dir := range l.dirs {
		_ = os.Remove(dir) // unless there are sockets of others in it
	}
	l.done.Wait()
}

func (l *links) isOver() bool {
	select {
	case <-l.over:
		return true
	default:
		return false
	}
}

// join copies in both directions. The end of one is passed on while the other
// goes on.
func join(a net.Conn, dial func() (net.Conn, error)) {
	defer a.Close()
	b, err := dial()
	if err != nil {
		if tcp, ok := a.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // refused, not ended
		}
		return
	}
	defer b.Close()
	var both sync.WaitGroup
	both.Go(func() { pipe(a, b) })
	both.Go(func() { pipe(b, a) })
	both.Wait()
}

// pipe copies one direction, in the kernel if one of both is TCP. After an error
// nothing more can arrive there, so that the other side must not send either.
func pipe(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if err != nil {
		_ = to.Close()
		_ = from.Close()
		return
	}
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // the other side may have closed it all
	}
}

// forwardOnly forwards until it is told to end, beside a service: whose container would
// end if this exited with anything but 0.
func forwardOnly(f protocol.Forwards) int {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM)
	l, err := open(f)
	if err != nil {
		_ = refuse(err) // says why
		return 0
	}
	<-signals
	l.close()
	return 0
}
