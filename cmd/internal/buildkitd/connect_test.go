package buildkitd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seatrial/seatrial/hack/testenv"
)

// place is a machine on which the default sockets lie below a directory.
type place struct {
	dir   string
	vars  map[string]string
	notes []string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	dir := testenv.StateDir(t) // short enough for sockets
	return &place{dir: dir, vars: map[string]string{"XDG_RUNTIME_DIR": dir, "XDG_CACHE_HOME": filepath.Join(dir, "cache")}}
}

func (p *place) rootful() string  { return filepath.Join(p.dir, "root.sock") }
func (p *place) rootless() string { return filepath.Join(p.dir, "buildkit", "buildkitd.sock") }

func (p *place) options() Options {
	return Options{
		Env:   func(name string) string { return p.vars[name] },
		Notes: func(format string, args ...any) { p.notes = append(p.notes, fmt.Sprintf(format, args...)) },
		seams: seams{rootAddr: "unix://" + p.rootful(), exeDir: "/nonexistent", sbin: []string{}},
	}
}

// link makes a daemon's socket appear at path.
func (p *place) link(t *testing.T, path string, d *testenv.Daemon) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(unixPath(d.Addr), path); err != nil {
		t.Fatal(err)
	}
}

// dead makes a socket on which nobody listens, as a crashed daemon leaves it.
func (p *place) dead(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
}

func (p *place) connect(t *testing.T, opt Options) *Builder {
	t.Helper()
	b, err := Connect(t.Context(), opt)
	if err != nil {
		t.Fatalf("Connect(%q) = %v", opt.Addr, err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func wantError(t *testing.T, opt Options) *Error {
	t.Helper()
	b, err := Connect(t.Context(), opt)
	if err == nil {
		b.Close()
		t.Fatalf("Connect(%q) = %s, want an error", opt.Addr, b.Addr)
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("Connect(%q) = %T, want *Error", opt.Addr, err)
	}
	return e
}

func TestAutoPrefersBuildkitHostThenRootfulThenRootless(t *testing.T) {
	p := newPlace(t)
	root, rootless := testenv.SharedDaemon(t, testenv.Root), testenv.SharedDaemon(t, testenv.Rootless)
	p.link(t, p.rootless(), rootless)
	if got, want := p.connect(t, p.options()).Addr, "unix://"+p.rootless(); got != want {
		t.Errorf("with a rootless daemon: Connect() = %s, want %s", got, want)
	}
	p.link(t, p.rootful(), root)
	if got, want := p.connect(t, p.options()).Addr, "unix://"+p.rootful(); got != want {
		t.Errorf("with both daemons: Connect() = %s, want %s", got, want)
	}
	p.vars["BUILDKIT_HOST"] = rootless.Addr
	b := p.connect(t, p.options())
	if b.Addr != rootless.Addr || b.Private || b.Version == "" {
		t.Errorf("with BUILDKIT_HOST: Connect() = %s, private %t, version %q; want %s", b.Addr, b.Private, b.Version, rootless.Addr)
	}
	if len(p.notes) != 0 {
		t.Errorf("notes = %q, want none", p.notes)
	}
}

func TestAutoSkipsADeadSocketWithANote(t *testing.T) {
	p := newPlace(t)
	p.dead(t, p.rootful())
	p.link(t, p.rootless(), testenv.SharedDaemon(t, testenv.Rootless))
	if got, want := p.connect(t, p.options()).Addr, "unix://"+p.rootless(); got != want {
		t.Errorf("Connect() = %s, want %s", got, want)
	}
	if len(p.notes) != 1 || !strings.Contains(p.notes[0], p.rootful()) {
		t.Errorf("notes = %q, want one about %s", p.notes, p.rootful())
	}
}

func TestAutoStartsAPrivateDaemonWhenItFindsNone(t *testing.T) {
	accounts(t, func(t *testing.T, a *account) {
		r := a.connect(t, "HELPER_ADDR=auto")
		if !r.Builder.Private {
			t.Errorf("Connect() = %s, want a private daemon", r.Builder.Addr)
		}
		r.close(t)
	})
}

func TestAutoSaysWhyThereIsNoBuilder(t *testing.T) {
	p := newPlace(t)
	e := wantError(t, p.options())
	if !strings.Contains(e.Error(), "no buildkitd was found") || !strings.Contains(e.Error(), "buildkitd is neither") {
		t.Errorf("error = %q", e)
	}
	if !strings.Contains(e.Hint, "make tools") || !strings.Contains(e.Hint, "BUILDKIT_HOST") {
		t.Errorf("hint = %q", e.Hint)
	}
}

func TestDeadBuildkitHostIsAnError(t *testing.T) {
	p := newPlace(t)
	p.link(t, p.rootful(), testenv.SharedDaemon(t, testenv.Root)) // must not be used instead
	dead := filepath.Join(p.dir, "dead.sock")
	p.dead(t, dead)
	for addr, want := range map[string]string{
		"unix://" + dead:             "connection refused",
		"unix://" + dead + ".absent": "no such file",
		"tcp://127.0.0.1:1":          "connection refused",
	} {
		t.Run(want+" "+addr, func(t *testing.T) {
			t.Parallel() // it waits for a sidecar
			opt := p.options()
			opt.Env = func(string) string { return addr }
			opt.Notes, opt.Timeout = nil, 3*time.Second
			e := wantError(t, opt)
			if e.Addr != addr || !strings.Contains(e.Error(), want) || !strings.Contains(e.Hint, "BUILDKIT_HOST") {
				t.Errorf("BUILDKIT_HOST=%s: error %q for %q, hint %q; want %q", addr, e, e.Addr, e.Hint, want)
			}
		})
	}
}

func TestSidecarMayComeUpLate(t *testing.T) {
	p := newPlace(t)
	d := testenv.SharedDaemon(t, testenv.Root)
	path := filepath.Join(p.dir, "late.sock")
	p.dead(t, path)
	opt := p.options()
	opt.Addr = "unix://" + path
	type result struct {
		b   *Builder
		err error
	}
	got := make(chan result)
	go func() {
		b, err := Connect(t.Context(), opt)
		got <- result{b, err}
	}()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	p.link(t, path, d)
	r := <-got
	if r.err != nil {
		t.Fatalf("Connect() = %v", r.err)
	}
	r.b.Close()
}

// TestWaitingIsNoted has nobody listen, so that there is something to wait for.
func TestWaitingIsNoted(t *testing.T) {
	p := newPlace(t)
	opt := p.options()
	opt.Addr, opt.Timeout = "unix://"+p.rootful(), time.Minute
	ctx, cancel := context.WithCancel(t.Context())
	noted := ""
	opt.Notes = func(format string, args ...any) {
		noted = fmt.Sprintf(format, args...)
		cancel()
	}
	if b, err := Connect(ctx, opt); err == nil {
		b.Close()
		t.Fatalf("Connect(%q) = %s, want an error", opt.Addr, b.Addr)
	}
	if want := "waiting for the builder at " + opt.Addr; noted != want {
		t.Errorf("note = %q, want %q", noted, want)
	}
}

func TestSilentListenerIsGivenUp(t *testing.T) {
	p := newPlace(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	opt := p.options()
	opt.Addr, opt.Timeout = "tcp://"+l.Addr().String(), 300*time.Millisecond
	if e := wantError(t, opt); !strings.Contains(e.Error(), "gave up after 300ms") {
		t.Errorf("error = %q", e)
	}
}

func TestRefusedAddresses(t *testing.T) {
	for _, test := range []struct{ addr, want, hint string }{
		{"tcp://builder.example.com:1234", "refusing an unprotected connection", "--insecure-builder"},
		{"tcp://10.0.0.1:1234", "refusing an unprotected connection", "--tlsdir"},
		{"tcp://builder.example.com", "host or port is missing", "1234"},
		{"http://127.0.0.1:1234", `unknown scheme "http"`, "docker-container://"},
		{"/run/buildkit/buildkitd.sock", "no scheme", "unix:///run/buildkit/buildkitd.sock"},
		{"unix://run/buildkitd.sock", "not absolute", "three slashes"},
		{"tcp://user:geheim@%zz", "parsing builder address", "unix://"},
		{"ssh://me:geheim@host", "no password", "key"},
	} {
		opt := newPlace(t).options()
		opt.Addr = test.addr
		e := wantError(t, opt)
		if !e.Usage || !strings.Contains(e.Error(), test.want) || !strings.Contains(e.Hint, test.hint) {
			t.Errorf("Connect(%s) = %q, usage %t, hint %q; want %q and a hint with %q", test.addr, e, e.Usage, e.Hint, test.want, test.hint)
		}
		if strings.Contains(e.Error()+e.Addr+e.Hint, "geheim") {
			t.Errorf("Connect(%s) shows the password: %q", test.addr, e)
		}
	}
}

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "127.0.0.1": true, "127.8.9.1": true, "::1": true,
		"0.0.0.0": false, "10.0.0.1": false, "localhost.example.com": false, "buildkitd": false, "": false,
	} {
		if got := isLoopback(host); got != want {
			t.Errorf("isLoopback(%q) = %t, want %t", host, got, want)
		}
	}
}

func TestClosingTwiceIsHarmless(t *testing.T) {
	opt := newPlace(t).options()
	opt.Addr = testenv.SharedDaemon(t, testenv.Root).Addr
	b, err := Connect(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := b.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	}
}
