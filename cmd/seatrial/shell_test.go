package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/seatrial/seatrial/hack/testenv"
)

// sitting is a seatrial process at a terminal.
type sitting struct {
	t    *testing.T
	cmd  *exec.Cmd
	pty  *os.File // the user's side
	tty  *os.File // the process's side
	mu   sync.Mutex
	seen bytes.Buffer
	from int           // what was waited for already
	wake chan struct{} // something was shown
	over chan error    // the process ended
}

// sit starts seatrial at a terminal of 33 rows and 101 columns.
func sit(t *testing.T, env []string, args ...string) *sitting {
	t.Helper()
	user, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	s := &sitting{t: t, pty: user, tty: tty, wake: make(chan struct{}, 1), over: make(chan error, 1)}
	s.resize(33, 101)
	s.cmd = seatrial(t, env, args...)
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = tty, tty, tty
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		user.Close()
		tty.Close()
	})
	go func() { s.over <- s.cmd.Wait() }()
	go s.readAll()
	return s
}

func (s *sitting) readAll() {
	buf := make([]byte, 4096)
	for {
		n, err := s.pty.Read(buf)
		s.mu.Lock()
		s.seen.Write(buf[:n])
		s.mu.Unlock()
		select {
		case s.wake <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

func (s *sitting) screen() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.String()
}

// endMark is what the terminal shows last.
const endMark = "[the end]"

// until waits for what comes after that which was waited for before.
func (s *sitting) until(pattern string) {
	s.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(2 * time.Minute)
	over := s.over
	for {
		text := s.screen()
		if at := re.FindStringIndex(text[s.from:]); at != nil {
			s.from += at[1]
			return
		}
		if strings.HasSuffix(text, endMark) {
			s.t.Fatalf("seatrial ended (%s) without showing %q:\n%s", s.cmd.ProcessState, pattern, text)
		}
		select {
		case <-s.wake:
		case err := <-over:
			s.over <- err
			over = nil
			// It comes behind all that seatrial has written, which need not have been read.
			if _, err := io.WriteString(s.tty, endMark); err != nil {
				s.t.Fatal(err)
			}
		case <-deadline:
			s.t.Fatalf("no %q after two minutes:\n%s", pattern, s.screen())
		}
	}
}

func (s *sitting) types(text string) {
	s.t.Helper()
	if _, err := io.WriteString(s.pty, text); err != nil {
		s.t.Fatal(err)
	}
}

func (s *sitting) resize(rows, cols uint16) {
	s.t.Helper()
	if err := pty.Setsize(s.pty, &pty.Winsize{Rows: rows, Cols: cols}); err != nil {
		s.t.Fatal(err)
	}
}

// exits waits for the end, and checks that the terminal is as it was before.
func (s *sitting) exits(want int) {
	s.t.Helper()
	err := <-s.over
	s.over <- err
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	if got := s.cmd.ProcessState.ExitCode(); got != want {
		s.t.Errorf("exit code = %d, want %d; the screen:\n%s", got, want, s.screen())
	}
	if mode, err := unix.IoctlGetTermios(int(s.tty.Fd()), unix.TCGETS); err != nil || mode.Lflag&unix.ECHO == 0 || mode.Lflag&unix.ISIG == 0 {
		s.t.Errorf("the terminal was left raw (%v)", err)
	}
}

func TestShell(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		dir := testenv.Dir(t, "Dockerfile", "FROM busybox AS base\nRUN echo in the stage >/where\nFROM base\nENV HULL=wood\nWORKDIR /deck\nUSER app\n")
		s := sit(t, w.env(), "shell", dir)
		s.until(`\$ `)
		s.types("stty size; echo $HULL $PWD `id -u` $TERM\n")
		s.until(`33 101\r\nwood /deck 1000 xterm\r\n`)

		s.resize(20, 60)
		// The new size comes some time after: it is asked for until it is there.
		s.types("until stty size | grep -q '20 60'; do :; done; echo re''sized\n")
		s.until(`resized\r\n`)

		// An interrupt ends what runs in the shell, not the shell. It is that which tells when
		// it runs: what the shell is about to start does not get an interrupt yet.
		s.types("sh -c \"echo wait''ing; exec sleep 1000\"; echo then\n")
		s.until(`waiting\r\n`)
		s.types("\x03")
		s.until(`\$ `)
		s.types("exit 7\n")
		s.exits(7)
		if strings.Contains(s.screen(), "interrupted") {
			t.Errorf("the interrupt went to seatrial:\n%s", s.screen())
		}

		s = sit(t, w.env(), "shell", "--stage", "base", "-u", "nobody", "-w", "/tmp", "-e", "A=b c", dir)
		s.until(`\$ `)
		s.types("echo `id -un` $PWD $A `cat /where`\nexit\n")
		s.until(`nobody /tmp b c in the stage\r\n`)
		s.exits(0)
	})
}

// TestShellIsTerminated has the terminal put right although the shell does not end by
// itself.
func TestShellIsTerminated(t *testing.T) {
	w := newWorld(t, testenv.SharedDaemon(t, testenv.Root))
	s := sit(t, w.env(), "shell", testenv.Dir(t, "Dockerfile", plainDockerfile))
	s.until(`# `)
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.exits(143)
}

func TestShellWhereATestFailed(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		secret := testenv.Dir(t, "secret", "hunter22222") + "/secret"
		dir := testenv.Dir(t, "Dockerfile", "FROM busybox AS app\nFROM app AS test\nARG KEY\nENV HULL=steel\nWORKDIR /deck\n"+
			"RUN --mount=type=secret,id=pw --mount=type=cache,target=/hold --mount=type=tmpfs,target=/water echo kept >/hold/it; echo left >behind; exit 3\nFROM app\n")
		ref := w.registry.Host + "/acme/failed"
		s := sit(t, w.env(), "run", "-t", ref, "--shell-on-failure", "--secret", "id=pw,src="+secret, "--report-dir", t.TempDir(), dir)
		s.until(`a shell where test "test" failed`)
		s.until(`to run it again: /bin/sh -c 'echo kept >/hold/it; echo left >behind; exit 3'\r\n`)
		s.until(`# `)
		s.types("echo $HULL $PWD `cat behind /hold/it` `wc -c </run/secrets/pw` `stty size`; grep -c ' /water ' /proc/mounts\n")
		s.until(`steel /deck left kept 11 33 101\r\n1\r\n`)
		s.types("exit 9\n")
		s.until(`failed: exit code 3`)
		s.exits(4)
		if got := resolve(t.Fatalf, ref); got != "none" {
			t.Errorf("after a failed test the tag is %s, want none", got)
		}

		// A command test, and one that did not fail.
		s = sit(t, w.env(), "test", "--shell-on-failure", "--report-dir", t.TempDir(), "--test", "true", "--test", "echo half >/half; exit 5", "--target", "app", dir)
		s.until(`a shell where test "echo half >/half; exit 5" failed`)
		s.until(`# `)
		s.types("cat /half; exit\n")
		s.until(`half\r\n`)
		s.exits(4)
	})
}

func TestShellWhereTheBuildFailed(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		dir := testenv.Dir(t, "file", "x", "Dockerfile", "FROM busybox\nWORKDIR /deck\nRUN --mount=target=/ctx echo left >behind && exit 3\n")
		for _, args := range [][]string{{"build"}, {"test", "--test", "true"}} {
			s := sit(t, w.env(), append(args, "--shell-on-failure", dir)...)
			s.until(`a shell where the build step failed`)
			s.until(`# `)
			s.types("cat behind /ctx/file; exit\n")
			s.until(`left\r\nx`)
			s.exits(3)
			s.until(`exit code: 3`)
		}
	})
}
