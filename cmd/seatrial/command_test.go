package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seatrial/seatrial/hack/testenv"
)

// command is a seatrial process.
type command struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  bytes.Buffer
	mu   sync.Mutex
	err  bytes.Buffer
	read chan struct{} // closed when stderr has ended
	wake chan struct{} // a line came
}

// seatrial is the program with more environment variables, "NAME=VALUE", and arguments. It
// leaves nothing outside directories of its own.
func seatrial(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	home := t.TempDir()
	cmd := exec.Command("seatrial", args...)
	cmd.Env = append(append(os.Environ(), "HOME="+home, "DOCKER_CONFIG="+home, "SEATRIAL_REPORT_DIR="+filepath.Join(home, "reports")), env...)
	return cmd
}

// start runs seatrial.
func start(t *testing.T, env []string, args ...string) *command {
	t.Helper()
	return launch(t, seatrial(t, env, args...))
}

// launch starts a seatrial process.
func launch(t *testing.T, cmd *exec.Cmd) *command {
	t.Helper()
	c := &command{t: t, cmd: cmd, read: make(chan struct{}), wake: make(chan struct{}, 1)}
	c.cmd.Stdout = &c.out
	stderr, err := c.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.cmd.Process.Kill() })
	go c.readAll(stderr)
	return c
}

func (c *command) readAll(r io.Reader) {
	defer close(c.read)
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		c.mu.Lock()
		c.err.WriteString(line)
		c.mu.Unlock()
		select {
		case c.wake <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

func (c *command) stderr() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err.String()
}

// until waits for text on standard error.
func (c *command) until(text string) {
	c.t.Helper()
	deadline := time.After(time.Minute)
	for !strings.Contains(c.stderr(), text) {
		select {
		case <-c.wake:
		case <-c.read:
			if !strings.Contains(c.stderr(), text) {
				c.t.Fatalf("seatrial ended without printing %q:\n%s", text, c.stderr())
			}
		case <-deadline:
			c.t.Fatalf("no %q after a minute:\n%s", text, c.stderr())
		}
	}
}

func (c *command) signal(sig syscall.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(sig); err != nil {
		c.t.Fatal(err)
	}
}

// exits waits for the end and checks the exit code.
func (c *command) exits(want int) {
	c.t.Helper()
	<-c.read
	err := c.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		c.t.Fatal(err)
	}
	if got := c.cmd.ProcessState.ExitCode(); got != want {
		c.t.Fatalf("exit code = %d, want %d; it printed:\n%s", got, want, c.stderr())
	}
}

// says checks standard error.
func (c *command) says(texts ...string) {
	c.t.Helper()
	for _, text := range texts {
		if !strings.Contains(c.stderr(), text) {
			c.t.Errorf("no %q in what seatrial printed:\n%s", text, c.stderr())
		}
	}
}

// saysOnce checks that standard error has each text in one place.
func (c *command) saysOnce(texts ...string) {
	c.t.Helper()
	for _, text := range texts {
		if n := strings.Count(c.stderr(), text); n != 1 {
			c.t.Errorf("%q is %d times in what seatrial printed, want once:\n%s", text, n, c.stderr())
		}
	}
}

// world is a builder and a registry with the image busybox.
type world struct {
	daemon   *testenv.Daemon
	registry *testenv.Registry
}

func newWorld(t *testing.T, daemon *testenv.Daemon) *world {
	t.Helper()
	w := &world{daemon, testenv.StartRegistry(t, testenv.RegistryOptions{})}
	testenv.Push(t, w.registry.Host+"/library/busybox", testenv.OwnBusyboxImage(t))
	return w
}

func (w *world) env() []string {
	return []string{
		"BUILDKIT_HOST=" + w.daemon.Addr,
		"SEATRIAL_BUILD_CONTEXT=busybox=docker-image://" + w.registry.Host + "/library/busybox",
		"SEATRIAL_PROGRESS=plain",
	}
}

// onEach runs a test on a rootful and on a rootless builder.
func onEach(t *testing.T, f func(t *testing.T, w *world)) {
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) { f(t, newWorld(t, testenv.SharedDaemon(t, kind))) })
	}
}
