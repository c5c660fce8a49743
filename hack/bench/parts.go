package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/moby/buildkit/client"
)

// bench is the place where everything happens: one daemon, one registry with
// the base image, and a directory that is removed at the end.
type bench struct {
	root, work string
	daemon     *daemon
	registry   *registry
	base       string // the base image, as a named context
	env        []string
	load       string // the machine's, before we added to it
}

func newBench(ctx context.Context, root string) (_ *bench, err error) {
	work, err := os.MkdirTemp("", "seatrial-bench.")
	if err != nil {
		return nil, err
	}
	b := &bench{root: root, work: work, load: load()}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	// Nobody's credentials or builders: all contenders see the same empty
	// configuration.
	b.env = append(os.Environ(), "DOCKER_CONFIG="+filepath.Join(work, "docker"),
		"BUILDX_CONFIG="+filepath.Join(work, "buildx"), "BUILDX_NO_DEFAULT_ATTESTATIONS=1",
		"BUILDKIT_HOST=", "XDG_CACHE_HOME="+filepath.Join(work, "cache"),
		"XDG_DATA_HOME="+filepath.Join(work, "nothing"))
	if b.registry, err = startRegistry(filepath.Join(work, "registry")); err != nil {
		return nil, err
	}
	push := exec.CommandContext(ctx, filepath.Join(root, "hack/baseimage.sh"), "push", b.registry.host)
	push.Stderr = os.Stderr
	out, err := push.Output()
	if err != nil {
		return nil, fmt.Errorf("making the base image: %w", err)
	}
	b.base = "docker-image://" + strings.TrimSpace(string(out))
	if b.daemon, err = startDaemon(ctx, b, filepath.Join(work, "daemon")); err != nil {
		return nil, err
	}
	create := b.command(ctx, "buildx", "create", "--name", "bench", "--driver", "remote", b.daemon.addr)
	if out, err := create.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("creating the buildx builder: %w\n%s", err, out)
	}
	return b, nil
}

// close stops what was started and removes the directory.
func (b *bench) close() error {
	b.daemon.stop()
	b.registry.stop()
	return b.remove(b.work)
}

// remove deletes a directory, also when a rootless daemon's namespace owns it.
func (b *bench) remove(dir string) error {
	if err := os.RemoveAll(dir); err == nil {
		return nil
	}
	if out, err := exec.Command(b.binary("rootlesskit"), "rm", "-rf", dir).CombinedOutput(); err != nil {
		return fmt.Errorf("removing %s: %w\n%s", dir, err, out)
	}
	return nil
}

func (b *bench) binary(name string) string { return filepath.Join(b.root, "bin", name) }

// command is one of our binaries in the clean environment.
func (b *bench) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	forgetPeak()
	cmd := exec.CommandContext(ctx, b.binary(name), args...)
	cmd.Env = slices.Clone(b.env)
	return cmd
}

// forgetPeak has the kernel (proc(5), clear_refs) forget how large this process once was:
// a process that it starts counts that as a peak of its own.
func forgetPeak() {
	debug.FreeOSMemory()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // what is measured then is too much
}

// registry is a running docker-registry.
type registry struct {
	host string
	dir  string
	cmd  *exec.Cmd
}

// startRegistry runs docker-registry, empty, on a port that the kernel chose.
func startRegistry(dir string) (*registry, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: info, accesslog: {disabled: true}}\n"+
		"storage: {filesystem: {rootdirectory: %s/data}}\nhttp: {addr: \"127.0.0.1:0\"}\n", dir)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, err
	}
	cmd := exec.Command("docker-registry", "serve", config)
	log, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting docker-registry: %w", err)
	}
	r := &registry{dir: dir, cmd: cmd}
	listening := regexp.MustCompile(`listening on ([0-9.:]+)`)
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			r.host = m[1]
			go func() { _, _ = io.Copy(io.Discard, log) }() // ends with the process
			return r, nil
		}
	}
	r.stop()
	return nil, errors.New("starting docker-registry: it ended at once")
}

func (r *registry) stop() {
	if r != nil {
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait()
	}
}

// daemon is a running buildkitd.
type daemon struct {
	addr string
	far  string // the same by TCP, as if it were on another machine
	root string
	cmd  *exec.Cmd
}

// startDaemon runs a buildkitd of our own, rootless unless we are root.
func startDaemon(ctx context.Context, b *bench, dir string) (*daemon, error) {
	if err := os.MkdirAll(filepath.Join(dir, "run"), 0o700); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	d := &daemon{addr: "unix://" + filepath.Join(dir, "sock"), far: "tcp://" + port, root: filepath.Join(dir, "root")}
	args := []string{b.binary("buildkitd"), "--root", d.root, "--addr", d.addr, "--addr", d.far,
		"--otel-socket-path", filepath.Join(dir, "otel.sock"), "--config", os.DevNull}
	if os.Getuid() != 0 {
		args = append([]string{b.binary("rootlesskit"), "--net=host", "--copy-up=/etc"}, append(args, "--rootless")...)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	d.cmd = exec.Command(args[0], args[1:]...)
	d.cmd.Stdout, d.cmd.Stderr = log, log
	d.cmd.Env = append(b.env, "XDG_RUNTIME_DIR="+filepath.Join(dir, "run"))
	if err := d.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting buildkitd: %w", err)
	}
	if err := d.wait(ctx); err != nil {
		d.stop()
		text, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("waiting for buildkitd: %w\n%s", err, text)
	}
	return d, nil
}

// freePort is an address on loopback where nobody listens.
func freePort() (string, error) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return lis.Addr().String(), lis.Close()
}

// wait returns when the daemon answers.
func (d *daemon) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	c, err := client.New(ctx, d.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Wait(ctx)
}

func (d *daemon) stop() {
	if d != nil {
		_ = d.cmd.Process.Signal(syscall.SIGTERM)
		_ = d.cmd.Wait()
	}
}
