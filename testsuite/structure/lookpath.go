package structure

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
)

// LookPath tells whether a command is there, as the kernel and execvp would find it:
// in PATH, or relative to a directory if there is a slash in its name. A container
// that cannot start it ends like one whose command exits with 1. The error says where
// it was looked for.
func LookPath(ctx context.Context, files Files, name, dir string, env []string) error {
	t := newTree(files)
	if strings.Contains(name, "/") {
		if !path.IsAbs(name) {
			name = path.Join("/", dir, name)
		}
		if err := t.executable(ctx, name); err != nil {
			return fmt.Errorf("command %s: %w", name, err)
		}
		return nil
	}
	dirs := lookup(env, "PATH")
	for _, in := range strings.Split(dirs, ":") {
		if !path.IsAbs(in) {
			in = path.Join("/", dir, in)
		}
		err := t.executable(ctx, path.Join(in, name))
		if err == nil {
			return nil
		}
		if !errors.Is(err, errNotExist) && !errors.Is(err, errNotExecutable) {
			return err
		}
	}
	return fmt.Errorf("command %q is not in PATH (%s)%s", name, dirs, t.shell(ctx))
}

var errNotExecutable = errors.New("it is not executable")

func (t *tree) executable(ctx context.Context, name string) error {
	st, _, err := t.stat(ctx, name)
	if err != nil {
		return err
	}
	if !mode(st).IsRegular() || mode(st)&0o111 == 0 {
		return errNotExecutable
	}
	return nil
}

// shell hints at why even the usual commands are missing.
func (t *tree) shell(ctx context.Context) string {
	if t.executable(ctx, "/bin/sh") != nil {
		return "; the image has no shell either"
	}
	return ""
}
