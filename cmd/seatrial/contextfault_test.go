package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/seatrial/seatrial/hack/testenv"
)

// TestContextWithSpecialFiles has what is neither file, directory nor link stay at
// home. Of what the ignore file names, nothing is said.
func TestContextWithSpecialFiles(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		project := testenv.Dir(t, "Dockerfile", "FROM busybox\nCOPY . /app\n", ".dockerignore", "quiet\n", "sub/file", "")
		for _, name := range []string{"fifo", "quiet", "caf\xe9"} {
			if err := syscall.Mkfifo(filepath.Join(project, "sub", name), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Rename(filepath.Join(project, "sub", "quiet"), filepath.Join(project, "quiet")); err != nil {
			t.Fatal(err)
		}
		devices := makeDevices(t, filepath.Join(project, "sub"))
		l, err := net.Listen("unix", filepath.Join(project, "socket"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		c := start(t, w.env(), "run", "-t", w.registry.Host+"/acme/special", "--test", `test "$(find /app | sort | xargs echo)" = "/app /app/.dockerignore /app/Dockerfile /app/sub /app/sub/file"`, project)
		c.exits(0)
		c.says(`warning: left out of the build context, being neither file, directory nor link: "socket", "sub/caf\xe9", ` + devices + `"sub/fifo"`)
	})
}

// makeDevices makes a block and a character device in dir, if this user may, and
// returns how a warning names them.
func makeDevices(t *testing.T, dir string) string {
	t.Helper()
	for name, mode := range map[string]uint32{"char": syscall.S_IFCHR, "disk": syscall.S_IFBLK} {
		switch err := syscall.Mknod(filepath.Join(dir, name), mode|0o644, 1<<8|3); {
		case errors.Is(err, syscall.EPERM):
			return ""
		case err != nil:
			t.Fatal(err)
		}
	}
	return `"sub/char", "sub/disk", `
}

func TestContextWithNamesThatAreNotUTF8(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		project := testenv.Dir(t, "Dockerfile", "FROM busybox\nCOPY . /app\n", "dir-\xe9/caf\xe9", "latin")
		c := start(t, w.env(), "run", "-t", w.registry.Host+"/acme/latin", "--test", `grep latin "$(printf '/app/dir-\351/caf\351')"`, project)
		c.exits(0)
	})
}

func TestContextWithLinks(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		outside := testenv.Dir(t, "secret", "not-for-the-image")
		project := testenv.Dir(t, "Dockerfile", "FROM busybox\nCOPY . /app\n", "through", "FROM busybox\nCOPY up/secret /\n",
			"absolute", "FROM busybox\nCOPY abs /\n", "in/file", "inside")
		for name, target := range map[string]string{
			"up": "../" + filepath.Base(outside), "abs": filepath.Join(outside, "secret"), "good": "in/file",
			"link.Dockerfile": filepath.Join(outside, "secret"), "good.Dockerfile": "in/../Dockerfile",
		} {
			if err := os.Symlink(target, filepath.Join(project, name)); err != nil {
				t.Fatal(err)
			}
		}
		ref := w.registry.Host + "/acme/links"
		sent := start(t, w.env(), "run", "-t", ref, "-f", filepath.Join(project, "good.Dockerfile"), "--test",
			"test -L /app/up && test -L /app/abs && ! grep -r not-for-the-image /app && grep inside /app/good", project)
		sent.exits(0)
		for _, dockerfile := range []string{"through", "absolute"} {
			c := start(t, w.env(), "run", "-t", ref, "-f", filepath.Join(project, dockerfile), "--test", "true", project)
			c.exits(3)
			c.says(">>> COPY", "not found")
		}
		c := start(t, w.env(), "run", "-t", ref, "-f", filepath.Join(project, "link.Dockerfile"), "--test", "true", project)
		c.exits(2)
		c.says("link.Dockerfile", "a symbolic link to a place outside the build context")
		if strings.Contains(c.stderr(), "not-for-the-image") {
			t.Errorf("the file outside is shown:\n%s", c.stderr())
		}
	})
}

// TestContextFileThatChanges appends to a file for as long as it is sent.
func TestContextFileThatChanges(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		project := testenv.Dir(t, "Dockerfile", "FROM busybox\nCOPY . /app\n", "logs/current", "")
		log := filepath.Join(project, "logs", "current")
		if err := os.Truncate(log, 64<<20); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		written := make(chan error)
		go func() { written <- appendTo(ctx, log) }()
		c := start(t, w.env(), "run", "-t", w.registry.Host+"/acme/changes", "--test", "true", project)
		c.exits(3)
		stop()
		if err := <-written; err != nil {
			t.Fatal(err)
		}
		c.says(`sending "logs/current" of the build context: it changed while it was being sent`, ".dockerignore", "no tag moved")
	})
}

func appendTo(ctx context.Context, path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	for ctx.Err() == nil {
		if _, err := f.WriteString("x"); err != nil {
			return err
		}
	}
	return nil
}

// TestContextFileThatCannotBeRead runs seatrial as somebody who may not.
func TestContextFileThatCannotBeRead(t *testing.T) {
	w := newWorld(t, testenv.SharedDaemon(t, testenv.Rootless))
	for name, lock := range map[string]func(string) error{
		"file":      func(p string) error { return os.WriteFile(p, []byte("x"), 0) },
		"directory": func(p string) error { return os.Mkdir(p, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := testenv.StateDir(t)
			if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM busybox\nCOPY . /app\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := lock(filepath.Join(dir, "locked")); err != nil {
				t.Fatal(err)
			}
			c := launch(t, asUser(t, dir, w.env(), "run", "-t", w.registry.Host+"/acme/locked", "--test", "true", "--report-dir", filepath.Join(dir, "reports"), dir))
			c.exits(3)
			c.says(`sending "locked" of the build context: permission denied`, ".dockerignore", "no tag moved")

			if err := os.WriteFile(filepath.Join(dir, ".dockerignore"), []byte("locked"), 0o644); err != nil {
				t.Fatal(err)
			}
			launch(t, asUser(t, dir, w.env(), "run", "-t", w.registry.Host+"/acme/locked", "--test", "true", "--report-dir", filepath.Join(dir, "reports"), dir)).exits(0)
		})
	}
}

// asUser is a command of the unprivileged user, whose home is dir.
func asUser(t *testing.T, dir string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath("seatrial")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(testenv.Reachable(t, path), args...)
	cmd.Env = append(append(os.Environ(), "HOME="+dir, "DOCKER_CONFIG="+dir), env...)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: testenv.UnprivilegedUser(t).Credential()}
	}
	return cmd
}

// TestMalformedDockerfileIsShownAsText has bytes in it that no terminal should get.
func TestMalformedDockerfileIsShownAsText(t *testing.T) {
	w := newWorld(t, testenv.SharedDaemon(t, testenv.Root))
	for _, dockerfile := range []string{"FROM ${X\n", "FROM busybox\nRNU \x1b]0;title\x07 \xff\xfe\n", "FROM \xff\xfe${\n"} {
		c := start(t, w.env(), "build", testenv.Dir(t, "Dockerfile", dockerfile))
		c.exits(3)
		c.says("Dockerfile:", ">>> ")
		if out := c.stderr(); !utf8.ValidString(out) || strings.ContainsAny(out, "\x1b\x07") {
			t.Errorf("seatrial prints %q", out)
		}
	}
}

// TestInputThatNeverEnds has a signal end a wait for standard input, whatever it is for.
// With one processor, nothing that main only starts has run by then.
func TestInputThatNeverEnds(t *testing.T) {
	for _, args := range [][]string{
		{"build", "-"},
		{"push", "-", "-t", "127.0.0.1:1/app"},
		{"push", "-t", "127.0.0.1:1/app", "--registry-user", "captain", "--registry-password-stdin", t.TempDir()},
	} {
		cmd := seatrial(t, []string{"GOMAXPROCS=1"}, args...)
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer stdin.Close()
		c := launch(t, cmd)
		// More than a pipe holds: that it is written means that it is read.
		if _, err := io.WriteString(stdin, strings.Repeat("# more\n", 64<<10)); err != nil {
			t.Fatal(err)
		}
		c.signal(syscall.SIGTERM)
		c.exits(143)
	}
}

// TestInputOfTerminal has a user told what is waited for, and Ctrl-C end it.
func TestInputOfTerminal(t *testing.T) {
	for what, args := range map[string][]string{
		"waiting for the build context": {"build", "-"},
		"waiting for a tar":             {"push", "-", "-t", "127.0.0.1:1/app"},
		"waiting for the password":      {"push", "-t", "127.0.0.1:1/app", "--registry-user", "captain", "--registry-password-stdin", t.TempDir()},
	} {
		s := sit(t, nil, args...)
		s.until(what)
		s.types("\x03")
		s.exits(130)
	}
}

// TestPipeThatNeverEnds has a signal end a wait for a named pipe.
func TestPipeThatNeverEnds(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "app.tar")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	c := start(t, nil, "push", pipe, "-t", "127.0.0.1:1/app")
	f, err := os.OpenFile(pipe, os.O_WRONLY, 0) // when it is opened for reading
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c.signal(syscall.SIGTERM)
	c.exits(143)
}
