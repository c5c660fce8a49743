package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/testsuite/helper/protocol"
)

// startForward runs a helper for both halves of the way: an address that leads to
// a socket, which leads to what listens at target. It returns the address.
func startForward(t testing.TB, target string) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "run", "db-5432.sock")
	address := testenv.FreeAddr(t)
	cmd := prepare(t, protocol.ModeRun, protocol.Run{Forwards: protocol.Forwards{
		Listen: []protocol.Forward{{Address: address, Socket: socket}},
		Export: []protocol.Forward{{Address: target, Socket: socket}},
	}}, "sh", "-c", "echo ready; exec cat")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stdout, make([]byte, len("ready\n"))); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(socket)
	if err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("the socket has mode %v, %v, want 0666", info.Mode(), err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the helper ended with %v", err)
		}
		if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is left: %v", err)
		}
	})
	return address
}

// serveEach handles connections until the test ends and returns the address.
func serveEach(t testing.TB, handle func(*net.TCPConn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go handle(conn.(*net.TCPConn))
		}
	}()
	return listener.Addr().String()
}

func dial(t testing.TB, address string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.TCPConn)
}

// A server that answers only when it has read all gets the end of what is sent
// while the way back is open.
func TestForward(t *testing.T) {
	address := startForward(t, serveEach(t, func(conn *net.TCPConn) {
		defer conn.Close()
		raw, _ := io.ReadAll(conn)
		_, _ = conn.Write(bytes.ToUpper(raw))
	}))
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			sent := bytes.Repeat([]byte("a"+strconv.Itoa(i)), 10000)
			_, _ = conn.Write(sent)
			_ = conn.(*net.TCPConn).CloseWrite()
			got, err := io.ReadAll(conn)
			if err != nil || !bytes.Equal(got, bytes.ToUpper(sent)) {
				t.Errorf("connection %d: %d bytes came back, %v, want %d", i, len(got), err, len(sent))
			}
		})
	}
	all.Wait()
}

func TestForwardToNobody(t *testing.T) {
	conn := dial(t, startForward(t, testenv.FreeAddr(t)))
	if n, err := conn.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes came from a service that does not listen", n)
	}
}

func TestForwardAddressInUse(t *testing.T) {
	address := serveEach(t, func(conn *net.TCPConn) { conn.Close() })
	got := runHelper(t, protocol.Run{Forwards: protocol.Forwards{
		Listen: []protocol.Forward{{Address: address, Socket: "/mesh/db.sock"}},
	}}, "echo", "started")
	want := "seatrial: forwarding between " + address + " and /mesh/db.sock: listen tcp " + address + ": bind: address already in use\n"
	if got.exit != protocol.ExitHelper || got.log != want {
		t.Errorf("exit code %d, log %q, want %q", got.exit, got.log, want)
	}
}

// BenchmarkForward measures one connection over both halves of the way.
func BenchmarkForward(b *testing.B) {
	address := startForward(b, serveEach(b, func(conn *net.TCPConn) {
		defer conn.Close()
		_, _ = io.Copy(io.Discard, struct{ io.Reader }{conn})
	}))
	conn := dial(b, address)
	chunk := make([]byte, 1<<20)
	b.SetBytes(int64(len(chunk)))
	for b.Loop() {
		if _, err := conn.Write(chunk); err != nil {
			b.Fatal(err)
		}
	}
	_ = conn.CloseWrite()
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		b.Fatal(err)
	}
}
