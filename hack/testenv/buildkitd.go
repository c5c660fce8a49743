package testenv

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/moby/buildkit/client"
)

// Kind is how a daemon runs.
type Kind int

const (
	// Root runs as root; by `sudo -n` if the tests do not.
	Root Kind = iota
	// Rootless runs in rootlesskit, as the user of the tests, or as the
	// unprivileged test user if that is root.
	Rootless
)

func (k Kind) String() string { return [...]string{"root", "rootless"}[k] }

// DaemonOptions configure a daemon. The zero value is a rootful one with a
// state directory of its own.
type DaemonOptions struct {
	Kind Kind
	// Mirrors maps a registry ("docker.io") to the HOST:PORT that is asked
	// instead, by plain HTTP. A registry that maps to itself only gets the
	// plain HTTP.
	Mirrors map[string]string
	// ExtraConfig is put at the top of buildkitd.toml.
	ExtraConfig string
	// Flags are passed to buildkitd after our own; another --addr is one more.
	Flags []string
	// Env is added to a minimal environment, as KEY=VALUE.
	Env []string
	// Dir is the state directory, for a daemon that continues where another
	// stopped: StateDir makes one. Default: one that goes when the daemon does.
	Dir string
	// Binary is the buildkitd to run. Default: the one in bin/.
	Binary string
}

// Daemon is a buildkitd that answers.
type Daemon struct {
	// Addr is its unix:// address; the tests' user can dial it.
	Addr string
	// PID is the process that was started: buildkitd, rootlesskit, or sudo.
	PID int
	// Kind is how it runs.
	Kind Kind
	// Dir is its state directory.
	Dir string

	opt    DaemonOptions
	tmp    string // everything of ours, Dir too unless the test gave one
	exited chan struct{}
	once   sync.Once
	err    error
}

// StartDaemon starts a daemon for one test; it is stopped at the end of it.
// What it logged is shown if the test failed.
func StartDaemon(t testing.TB, opt DaemonOptions) *Daemon {
	t.Helper()
	d, err := startDaemon(t.Context(), opt)
	if err != nil {
		t.Fatalf("starting a %s buildkitd: %v", opt.Kind, err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of buildkitd %s:\n%s", d.Addr, d.Log())
		}
		if err := d.Stop(); err != nil {
			t.Errorf("stopping buildkitd: %v", err)
		}
	})
	return d
}

// StateDir makes a state directory for daemons that follow each other; it is
// removed after the test. t.TempDir will not do for it: the unprivileged user
// cannot get there.
func StateDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp(shortTemp(), "ststate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := remove(dir); err != nil {
			t.Errorf("removing the state directory: %v", err)
		}
	})
	return dir
}

func startDaemon(ctx context.Context, opt DaemonOptions) (*Daemon, error) {
	tmp, err := os.MkdirTemp(shortTemp(), "st")
	if err != nil {
		return nil, err
	}
	d := &Daemon{
		Addr: "unix://" + filepath.Join(tmp, "run", "bk.sock"),
		Kind: opt.Kind, Dir: opt.Dir, opt: opt, tmp: tmp, exited: make(chan struct{}),
	}
	if d.Dir == "" {
		d.Dir = filepath.Join(tmp, "state")
	}
	cmd, err := d.command(opt)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(tmp))
	}
	if err := d.launch(cmd); err != nil {
		return nil, errors.Join(err, os.RemoveAll(tmp))
	}
	env.track(d)
	if err := d.waitReady(ctx); err != nil {
		err = fmt.Errorf("%w; its log:\n%s", err, d.Log())
		return nil, errors.Join(err, d.Stop())
	}
	return d, nil
}

// command prepares the files and returns the process to start.
func (d *Daemon) command(opt DaemonOptions) (*exec.Cmd, error) {
	credential, err := credentialFor(opt.Kind)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(d.tmp, "buildkitd.toml")
	if err := os.WriteFile(config, []byte(opt.toml()), 0o644); err != nil {
		return nil, err
	}
	for _, dir := range []string{d.tmp, d.Dir, d.path("run"), d.path("home"), d.path("tmp")} {
		if err := makeFor(credential, dir); err != nil {
			return nil, err
		}
	}
	argv, err := d.argv(opt, config, credential)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = "/"
	cmd.Env = append(d.environ(), opt.Env...)
	if d.sudo() {
		cmd.Args = slices.Concat([]string{"sudo", "-n", "env"}, cmd.Env, argv)
		if cmd.Path, err = exec.LookPath("sudo"); err != nil {
			return nil, fmt.Errorf("starting a rootful buildkitd as an ordinary user: %w", err)
		}
	}
	// If the tests die (a time limit, a kill), the daemon does too.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL, Credential: credential}
	return cmd, nil
}

func (d *Daemon) argv(opt DaemonOptions, config string, credential *syscall.Credential) ([]string, error) {
	daemon := opt.Binary
	if daemon == "" {
		var err error
		if daemon, err = binary("buildkitd"); err != nil {
			return nil, err
		}
	}
	argv := []string{}
	if opt.Kind == Rootless {
		kit, err := binary("rootlesskit")
		if err != nil {
			return nil, err
		}
		if credential != nil { // another user may not reach our source tree
			if kit, err = env.reachable(kit); err != nil {
				return nil, err
			}
			if daemon, err = env.reachable(daemon); err != nil {
				return nil, err
			}
		}
		argv = append(argv, kit, "--net=host", "--state-dir="+d.path("rk"))
	}
	argv = append(argv, daemon, "--config="+config, "--root="+d.Dir, "--addr="+d.Addr,
		"--otel-socket-path="+d.path("run", "otel.sock"), "--oci-worker=true", "--containerd-worker=false")
	if opt.Kind == Rootless {
		argv = append(argv, "--rootless")
	}
	if d.sudo() {
		argv = append(argv, fmt.Sprintf("--group=%d", os.Getgid()))
	}
	return append(argv, opt.Flags...), nil
}

func (d *Daemon) environ() []string {
	return []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=" + d.path("home"), "USER=seatrial", "TMPDIR=" + d.path("tmp"),
		"XDG_RUNTIME_DIR=" + d.path("run"),
	}
}

func (o DaemonOptions) toml() string {
	var b strings.Builder
	b.WriteString(o.ExtraConfig + "\n")
	plain := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(o.Mirrors)) {
		target := o.Mirrors[name]
		host, _, _ := strings.Cut(target, "/")
		plain[host] = true
		if name != target {
			fmt.Fprintf(&b, "[registry.%q]\n  mirrors = [%q]\n", name, target)
		}
	}
	for _, host := range slices.Sorted(maps.Keys(plain)) {
		fmt.Fprintf(&b, "[registry.%q]\n  http = true\n", host)
	}
	return b.String()
}

// launch starts the process from a thread that lives as long as it does: the
// kernel sends the parent-death signal when the thread ends.
func (d *Daemon) launch(cmd *exec.Cmd) error {
	log, err := os.OpenFile(d.path("log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
			close(d.exited)
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	d.PID = cmd.Process.Pid
	return nil
}

func (d *Daemon) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	answered := make(chan error, 1)
	go func() { answered <- waitSocket(ctx, d.Addr) }()
	select {
	case err := <-answered:
		return err
	case <-d.exited:
		return errors.New("buildkitd exited")
	}
}

func waitSocket(ctx context.Context, addr string) error {
	for {
		c, err := client.New(ctx, addr)
		if err != nil {
			return err
		}
		_, err = c.ListWorkers(ctx)
		c.Close()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("buildkitd does not answer: %w", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Log is what the daemon has written.
func (d *Daemon) Log() string {
	raw, err := os.ReadFile(d.path("log"))
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

// Kill ends the daemon and its build steps with SIGKILL. The files stay until
// Stop.
func (d *Daemon) Kill() {
	d.signalGroup(syscall.SIGKILL)
	<-d.exited
	d.killSteps() // Stop reports what does not end
}

// Restart starts a daemon again, after Kill, at the same address and with what is in
// its state directory.
func (d *Daemon) Restart(t testing.TB) {
	t.Helper()
	d.exited = make(chan struct{})
	cmd, err := d.command(d.opt)
	if err == nil {
		err = d.launch(cmd)
	}
	if err == nil {
		err = d.waitReady(t.Context())
	}
	if err != nil {
		t.Fatalf("starting the buildkitd again: %v; its log:\n%s", err, d.Log())
	}
}

// Forget empties the state directory of a daemon that does not run.
func (d *Daemon) Forget(t testing.TB) {
	t.Helper()
	if err := errors.Join(d.unmount(), remove(d.Dir)); err != nil {
		t.Fatalf("emptying the state directory: %v", err)
	}
}

// Stop ends the daemon, by force if it takes longer than 10 seconds, and
// removes its files and whatever else it left. Stopping twice is harmless.
func (d *Daemon) Stop() error {
	d.once.Do(func() {
		d.signal(syscall.SIGTERM)
		select {
		case <-d.exited:
		case <-time.After(10 * time.Second):
			d.signalGroup(syscall.SIGKILL)
			<-d.exited
		}
		d.err = errors.Join(d.killSteps(), d.deleteContainers(), d.unmount(), remove(d.tmp))
	})
	return d.err
}

func (d *Daemon) path(elem ...string) string {
	return filepath.Join(append([]string{d.tmp}, elem...)...)
}

// SharedDaemon returns the one daemon of this kind in this test binary. It
// needs Main, which stops it.
func SharedDaemon(t testing.TB, kind Kind) *Daemon {
	t.Helper()
	if !env.running() {
		t.Fatal("SharedDaemon needs: func TestMain(m *testing.M) { testenv.Main(m) }")
	}
	d, err := env.shared(kind)
	if err != nil {
		t.Fatalf("starting the shared %s buildkitd: %v", kind, err)
	}
	return d
}
