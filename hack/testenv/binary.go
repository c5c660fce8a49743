package testenv

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// Binary is the path of a program in the repository's bin/, which `make tools`
// fills.
func Binary(t testing.TB, name string) string {
	t.Helper()
	path, err := binary(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Reachable returns path, or a copy of the program there for a process of the
// unprivileged user, who may not be allowed into the directories above it. It
// needs Main if it has to make a copy.
func Reachable(t testing.TB, path string) string {
	t.Helper()
	path, err := env.reachable(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func binary(name string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("finding %s: no go.mod above the working directory", name)
		}
		dir = parent
	}
	path := filepath.Join(dir, "bin", name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("finding %s: %w: run make tools", name, err)
	}
	return path, nil
}

// reachable returns the path itself if everybody can run it, or that of a copy.
func (e *environment) reachable(path string) (string, error) {
	if open(path) {
		return path, nil
	}
	e.copying.Lock()
	defer e.copying.Unlock()
	if e.bin == "" {
		dir, err := os.MkdirTemp(shortTemp(), "stbin")
		if err != nil {
			return "", err
		}
		e.bin = dir
		AtExit(func() { os.RemoveAll(dir) })
		if err := os.Chmod(dir, 0o755); err != nil {
			return "", err
		}
	}
	copied := filepath.Join(e.bin, filepath.Base(path))
	if _, err := os.Stat(copied); err == nil {
		return copied, nil
	}
	return copied, copyExecutable(path, copied)
}

func copyExecutable(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close())
}

// open reports whether everybody may search the path and execute its end.
func open(path string) bool {
	for ; ; path = filepath.Dir(path) {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
		if path == filepath.Dir(path) {
			return true
		}
	}
}

// shortTemp is where temporary directories go: a Unix socket's path has room
// for 107 bytes, and the unprivileged user must get there.
func shortTemp() string {
	if dir := os.TempDir(); len(dir) <= 50 && open(dir) {
		return dir
	}
	return "/tmp"
}
