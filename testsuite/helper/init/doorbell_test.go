package main

import (
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/testsuite/helper/protocol"
)

// answer starts the helper with a doorbell and returns our end of it after the
// hello.
func answer(t *testing.T, argv ...string) (*protocol.Conn, net.Conn, func() ran) {
	t.Helper()
	out := t.TempDir()
	socket := filepath.Join(out, "bell")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	cmd := prepare(t, protocol.ModeRun, protocol.Run{Name: "unit", Out: out, Doorbell: socket}, argv...)
	done := make(chan ran, 1)
	go func() { done <- finish(t, cmd, out) }()
	stream, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stream.Close() })
	conn := protocol.NewConn(stream)
	m, err := conn.Receive()
	if err != nil || m.Hello == nil || m.Hello.Name != "unit" {
		t.Fatalf("the first message is %+v, %v", m, err)
	}
	return conn, stream, func() ran { return <-done }
}

func send(t *testing.T, conn *protocol.Conn, m protocol.Message) {
	t.Helper()
	if err := conn.Send(m); err != nil {
		t.Fatal(err)
	}
}

func TestDoorbell(t *testing.T) {
	service := filepath.Join(t.TempDir(), "service")
	listener, err := net.Listen("unix", service)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		if c, err := listener.Accept(); err == nil {
			_, _ = io.WriteString(c, "served\n")
			c.Close()
		}
	}()
	address := testenv.FreeAddr(t)
	_, port, _ := net.SplitHostPort(address)
	conn, _, wait := answer(t, "sh", "-c", "echo $GREETING; exec busybox nc 127.0.0.1 "+port)
	send(t, conn, protocol.Message{Go: &protocol.Go{
		Listen: []protocol.Forward{{Address: address, Socket: service}},
		Env:    map[string]string{"GREETING": "hello"},
	}})
	m, err := conn.Receive()
	if err != nil || m.Exit == nil || m.Exit.Exit != 0 {
		t.Fatalf("the last message is %+v, %v", m, err)
	}
	send(t, conn, protocol.Message{Bye: &protocol.Bye{}})
	if got := wait(); got.exit != 0 || got.log != "hello\nserved\n" {
		t.Errorf("exit code %d, log %q", got.exit, got.log)
	}
}

// A builder may have given the test another directory than its services: nothing is run.
func TestServicesOutOfSight(t *testing.T) {
	conn, _, wait := answer(t, "echo", "started")
	send(t, conn, protocol.Message{Go: &protocol.Go{Sees: filepath.Join(t.TempDir(), "0-5432.sock")}})
	m, err := conn.Receive()
	if err != nil || m.Exit == nil || m.Exit.Error != protocol.Apart {
		t.Fatalf("the last message is %+v, %v", m, err)
	}
	send(t, conn, protocol.Message{Bye: &protocol.Bye{}})
	if got := wait(); got.exit != protocol.ExitHelper || strings.Contains(got.log, "started") {
		t.Errorf("exit code %d, log %q", got.exit, got.log)
	}
}

func TestAbortBefore(t *testing.T) {
	conn, _, wait := answer(t, "echo", "started")
	send(t, conn, protocol.Message{Abort: &protocol.Abort{Reason: "service db never became ready", Exit: 9}})
	if got := wait(); got.exit != 9 || got.log != "seatrial: service db never became ready\n" {
		t.Errorf("exit code %d, log %q", got.exit, got.log)
	}
}

func TestAbortDuring(t *testing.T) {
	ready := filepath.Join(t.TempDir(), "ready")
	conn, _, wait := answer(t, "sh", "-c", "mkfifo $0; echo up; : >$0; sleep 1000", ready)
	send(t, conn, protocol.Message{Go: &protocol.Go{}})
	waitFifo(t, ready)
	send(t, conn, protocol.Message{Abort: &protocol.Abort{Reason: "service db died"}})
	got := wait()
	if got.exit != protocol.ExitHelper || !strings.HasPrefix(got.log, "up\nseatrial: service db died") || got.result.Error != "service db died" {
		t.Errorf("exit code %d, log %q, result %+v", got.exit, got.log, got.result)
	}
}

func TestDoorbellClosed(t *testing.T) {
	_, stream, wait := answer(t, "echo", "started")
	stream.Close()
	if got := wait(); got.exit != protocol.ExitHelper || !strings.Contains(got.log, "connection to seatrial was closed") {
		t.Errorf("exit code %d, log %q", got.exit, got.log)
	}
}

// waitFifo waits until a command has made a named pipe and opened it.
func waitFifo(t *testing.T, path string) {
	t.Helper()
	script := `while ! [ -p "$0" ]; do sleep 0.01; done; cat "$0"; echo opened`
	raw, err := exec.CommandContext(t.Context(), "sh", "-c", script, path).Output()
	if err != nil || !strings.HasSuffix(string(raw), "opened\n") {
		t.Fatalf("waiting for the command: %v, %q", err, raw)
	}
}
