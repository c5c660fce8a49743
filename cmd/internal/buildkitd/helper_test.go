package buildkitd

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/llb"
	"github.com/tonistiigi/fsutil"

	"github.com/seatrial/seatrial/hack/testenv"
)

// The private daemon belongs to a user and outlives processes, so its tests
// need processes to kill, as root and as somebody else: this test binary is
// also the program that they run.

const helperEnv = "SEATRIAL_TEST_HELPER"

func TestMain(m *testing.M) {
	if os.Getenv(helperEnv) != "" {
		helper()
		return
	}
	testenv.Main(m)
}

// reply is what the helper says after each command.
type reply struct {
	Builder  builderInfo
	Worker   string
	Output   string
	Notes    []string
	Err      string
	Hint     string
	Log      string
	Typed    bool // the error was an *Error
	Canceled bool
}

type builderInfo struct {
	Addr, Version, LogFile string
	Private                bool
	PID                    int
}

func (r *reply) fail(err error) {
	var e *Error
	r.Typed = errors.As(err, &e)
	if r.Typed {
		r.Hint, r.Log = e.Hint, e.Log
	}
	r.Canceled = errors.Is(err, context.Canceled)
	r.Err = err.Error()
}

// helper connects as its environment says, then obeys the lines of its input.
func helper() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	out := json.NewEncoder(os.Stdout)
	r := reply{}
	opt := Options{Addr: os.Getenv("HELPER_ADDR"), Notes: func(format string, args ...any) {
		r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
	}}
	opt.Timeout, _ = time.ParseDuration(os.Getenv("HELPER_TIMEOUT"))
	opt.seams = seams{exeDir: "/nonexistent", rootAddr: "unix:///nonexistent/buildkitd.sock"}
	if os.Getenv("HELPER_NO_SBIN") != "" {
		opt.seams.sbin = []string{}
	}
	b, err := Connect(ctx, opt)
	if err != nil {
		r.fail(err)
		out.Encode(r)
		return
	}
	r.Builder = builderInfo{Addr: b.Addr, Version: b.Version, Private: b.Private, PID: b.PID, LogFile: b.LogFile}
	if workers, err := b.Client.ListWorkers(ctx); err == nil {
		r.Worker = workers[0].ID
	}
	out.Encode(r)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		r := reply{}
		switch command, argument, _ := strings.Cut(lines.Text(), " "); command {
		case "close":
			if err := b.Close(); err != nil {
				r.fail(err)
			}
		case "run":
			if r.Output, err = runStep(ctx, b.Client, argument); err != nil {
				r.fail(err)
			}
		}
		out.Encode(r)
	}
}

// runStep runs a shell command in a container that holds only busybox.
func runStep(ctx context.Context, c *client.Client, command string) (string, error) {
	dir, err := os.MkdirTemp("", "step")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "busybox"), busybox, 0o755); err != nil {
		return "", err
	}
	files, err := fsutil.NewFS(dir)
	if err != nil {
		return "", err
	}
	// By way of a copy the step's cache key depends on the content alone.
	def, err := llb.Scratch().File(llb.Copy(llb.Local("busybox"), "/busybox", "/busybox")).
		Run(llb.Args([]string{"/busybox", "sh", "-c", command})).Root().Marshal(ctx)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	status := make(chan *client.SolveStatus)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for s := range status {
			for _, l := range s.Logs {
				out.Write(l.Data)
			}
		}
	}()
	_, err = c.Solve(ctx, def, client.SolveOpt{LocalMounts: map[string]fsutil.FS{"busybox": files}}, status)
	<-done
	return out.String(), err
}

// An account is a user with directories of its own.
type account struct {
	uid  int
	dir  string
	env  []string
	exe  string
	cred *syscall.Credential
}

// accounts runs the test for root and for an unprivileged user, or only for
// the tests' own user if that is not root.
func accounts(t *testing.T, test func(t *testing.T, a *account)) {
	t.Run("rootless", func(t *testing.T) { test(t, newAccount(t, testenv.Rootless)) })
	if os.Geteuid() == 0 {
		t.Run("root", func(t *testing.T) { test(t, newAccount(t, testenv.Root)) })
	}
}

func newAccount(t *testing.T, kind testenv.Kind) *account {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	a := &account{uid: os.Geteuid(), dir: testenv.StateDir(t), exe: exe}
	if kind == testenv.Rootless && os.Geteuid() == 0 {
		u := testenv.UnprivilegedUser(t)
		a.uid, a.cred = u.UID, u.Credential()
		a.exe = testenv.Reachable(t, exe)
	}
	for _, name := range []string{"", "run", "cache", "home", "home/.config", "home/.config/buildkit", "tmp"} {
		dir := filepath.Join(a.dir, name)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if a.cred != nil {
			if err := os.Chown(dir, int(a.cred.Uid), int(a.cred.Gid)); err != nil {
				t.Fatal(err)
			}
		}
	}
	bin := filepath.Dir(testenv.Reachable(t, testenv.Binary(t, "buildkitd")))
	testenv.Reachable(t, testenv.Binary(t, "rootlesskit"))
	a.env = []string{
		helperEnv + "=1", "HELPER_ADDR=private", "PATH=" + bin + ":/usr/bin:/bin",
		"HOME=" + a.path("home"), "XDG_CACHE_HOME=" + a.path("cache"),
		"XDG_RUNTIME_DIR=" + a.path("run"), "TMPDIR=" + a.path("tmp"),
	}
	t.Cleanup(func() { a.checkNothingLeft(t) })
	return a
}

func (a *account) path(elem ...string) string {
	return filepath.Join(append([]string{a.dir}, elem...)...)
}

func (a *account) state() string { return a.path("cache", "seatrial", "buildkit") }

// checkNothingLeft looks for anything but the state and the log.
func (a *account) checkNothingLeft(t *testing.T) {
	t.Helper()
	match := func(pid int) bool {
		cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		mounts, _ := readMounts(fmt.Sprintf("/proc/%d/mountinfo", pid))
		if strings.Contains(string(cmdline), a.dir) {
			return true
		}
		for _, m := range mounts {
			if m.point == "/" && m.uses(a.state()) {
				return true
			}
		}
		return false
	}
	if pids, err := matching(match); err != nil || len(pids) > 0 {
		t.Errorf("processes %v are left (%v)", pids, err)
	}
	mounts, err := readMounts("/proc/self/mountinfo")
	if err != nil {
		t.Error(err)
	}
	for _, m := range mounts {
		if strings.HasPrefix(m.point, a.dir+"/") {
			t.Errorf("mount %s is left", m.point)
		}
	}
	err = filepath.WalkDir(a.dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrPermission) {
			return fs.SkipDir // a build step's files, of a subordinate id
		}
		if err == nil && d.Type()&fs.ModeSocket != 0 {
			t.Errorf("socket %s is left", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	for _, name := range []string{"run", "tmp", "cache/seatrial/buildkit/tmp"} {
		entries, err := os.ReadDir(a.path(name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
		for _, e := range entries {
			t.Errorf("%s is left", a.path(name, e.Name()))
		}
	}
	if a.uid == 0 {
		out, err := home{oci: "runc"}.listContainers()
		if err != nil || strings.Contains(string(out), a.dir) {
			t.Errorf("containers are left: %s (%v)", out, err)
		}
	}
}

// A run is a process that has tried to connect.
type run struct {
	reply
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Scanner
}

// start runs the helper without waiting for its reply.
func (a *account) start(t *testing.T, env ...string) *run {
	t.Helper()
	cmd := exec.Command(a.exe)
	cmd.Dir = "/"
	cmd.Env = append(append([]string{}, a.env...), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: a.cred}
	stderr := &syncBuffer{}
	cmd.Stderr = stderr
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
	r := &run{cmd: cmd, stdin: stdin, lines: bufio.NewScanner(stdout)}
	r.lines.Buffer(nil, 1<<20)
	t.Cleanup(func() {
		stdin.Close()
		cmd.Process.Kill()
		cmd.Wait()
		if s := stderr.String(); s != "" {
			t.Logf("stderr of the process: %s", s)
		}
	})
	return r
}

// connect runs the helper, which must succeed.
func (a *account) connect(t *testing.T, env ...string) *run {
	t.Helper()
	r := a.start(t, env...)
	r.reply = r.next(t)
	if r.Err != "" {
		t.Fatalf("Connect() = %s\nhint: %s", r.Err, r.Hint)
	}
	return r
}

func (r *run) next(t *testing.T) reply {
	t.Helper()
	var got reply
	if !r.lines.Scan() {
		t.Fatalf("the process said nothing: %v", r.lines.Err())
	}
	if err := json.Unmarshal(r.lines.Bytes(), &got); err != nil {
		t.Fatalf("the process said %q: %v", r.lines.Text(), err)
	}
	return got
}

func (r *run) do(t *testing.T, command string) reply {
	t.Helper()
	if _, err := io.WriteString(r.stdin, command+"\n"); err != nil {
		t.Fatal(err)
	}
	return r.next(t)
}

func (r *run) close(t *testing.T) {
	t.Helper()
	if got := r.do(t, "close"); got.Err != "" {
		t.Fatalf("Close() = %s", got.Err)
	}
}

func (r *run) kill(t *testing.T) {
	t.Helper()
	if err := r.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	r.cmd.Wait()
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func running(pid int) bool { return !ended(pid) }

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !condition(); time.Sleep(pollInterval) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// signalGroup signals every process of the daemon.
func signalGroup(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(-pid, sig); err != nil {
		t.Fatalf("signalling process group %s: %v", strconv.Itoa(pid), err)
	}
}
