package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/seatrial/seatrial/testsuite/helper/protocol"
	"golang.org/x/sys/unix"
)

// shell is what a command in shell form needs.
const shell = "/bin/sh"

// command is what to start, and as whom.
type command struct {
	argv   []string
	env    []string
	as     *account // nil: as this process
	stdin  uintptr
	stdout uintptr
	stderr uintptr
}

// exitError is an error with the exit code that it means.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// codeOf is the exit code that an error means.
func codeOf(err error) int {
	var e *exitError
	if errors.As(err, &e) {
		return e.code
	}
	return protocol.ExitHelper
}

// spawn starts a command in a process group of its own and returns its PID. The
// command dies with this thread.
func spawn(c command) (int, error) {
	if len(c.argv) == 0 || c.argv[0] == "" {
		return 0, &exitError{protocol.ExitNotFound, errors.New("there is no command to run")}
	}
	path, err := lookup(c.argv[0], c.env)
	if err != nil {
		return 0, err
	}
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if c.as != nil {
		attr.Credential = c.as.credential()
		if permitted(unix.CAP_NET_BIND_SERVICE) {
			// As with Docker, where every port is for everybody.
			attr.AmbientCaps = []uintptr{unix.CAP_NET_BIND_SERVICE}
		}
	}
	pid, err := syscall.ForkExec(path, c.argv, &syscall.ProcAttr{
		Env: c.env, Files: []uintptr{c.stdin, c.stdout, c.stderr}, Sys: attr,
	})
	if err != nil {
		return 0, &exitError{protocol.ExitCannotStart, cannotStart(path, err)}
	}
	return pid, nil
}

// permitted tells whether this process has a capability to give.
func permitted(capability int) bool {
	var data [2]unix.CapUserData
	err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0])
	return err == nil && data[capability/32].Permitted&(1<<(capability%32)) != 0
}

// lookup finds a program as execvp does, in the PATH that the program is given.
func lookup(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, executable(name, name)
	}
	path, _ := getenv(env, "PATH")
	var denied error
	for _, dir := range filepath.SplitList(path) {
		found := filepath.Join(dir, name)
		if dir == "" || dir == "." {
			found = "./" + name
		}
		err := executable(found, name)
		if err == nil {
			return found, nil
		}
		if codeOf(err) == protocol.ExitCannotStart && denied == nil {
			denied = err
		}
	}
	if denied != nil {
		return "", denied
	}
	return "", notFound(name, "in PATH ("+path+")")
}

// executable tells whether path, found for name, is a file that somebody may
// execute.
func executable(path, name string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
		return notFound(name, "in the image")
	case err != nil:
		return &exitError{protocol.ExitCannotStart, err}
	case info.IsDir():
		return &exitError{protocol.ExitCannotStart, fmt.Errorf("%s is a directory, not a command", path)}
	case info.Mode()&0o111 == 0:
		return &exitError{protocol.ExitCannotStart, fmt.Errorf("%s is not executable (mode %04o)", path, info.Mode().Perm())}
	}
	return nil
}

func notFound(name, where string) error {
	if name == shell {
		return &exitError{protocol.ExitNotFound,
			fmt.Errorf("the image has no shell (%s): give the command as a list of arguments", shell)}
	}
	has := "has a shell (" + shell + ")"
	if _, err := os.Stat(shell); err != nil {
		has = "has no shell (" + shell + ") either"
	}
	return &exitError{protocol.ExitNotFound, fmt.Errorf("there is no command %q %s; the image %s", name, where, has)}
}

// cannotStart says what the kernel's answer means for a file that is there.
func cannotStart(path string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOENT):
		if line := interpreter(path); line != "" {
			return fmt.Errorf("%s is there, but its interpreter is not: %s", path, line)
		}
		return fmt.Errorf("%s is there, but the dynamic loader that it needs is not", path)
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("%s: %w: it is built for another platform, or is a script without a #! line", path, err)
	}
	return fmt.Errorf("starting %s: %w", path, err)
}

// interpreter is what a script names in its first line.
func interpreter(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	head := make([]byte, 256)
	n, _ := file.Read(head)
	line, _, _ := bytes.Cut(head[:n], []byte("\n"))
	if rest, ok := bytes.CutPrefix(line, []byte("#!")); ok {
		return strings.TrimRight(strings.TrimSpace(string(rest)), "\r")
	}
	return ""
}
