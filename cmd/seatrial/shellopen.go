package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/testsuite"
)

// openStage builds the image, and opens it.
func openStage(ctx context.Context, t *llb.Trial) (*llb.Container, error) {
	image := t.Images[0]
	have := t.Platforms()
	if !slices.ContainsFunc(have, func(p ocispecs.Platform) bool { return platforms.NewMatcher(p).Match(image.Platform) }) {
		var names []string
		for _, p := range have {
			names = append(names, platforms.Format(p))
		}
		return nil, usagef("name a builder for it with --addr", "the builder cannot run a shell on %s, only on %s", platforms.Format(image.Platform), strings.Join(names, ", "))
	}
	return t.OpenStage(ctx, image)
}

// findShell is the first shell that is there: the one that the image names, one that
// is good to type in, or any.
func findShell(ctx context.Context, c *llb.Container, named string) (string, error) {
	candidates := []string{"/bin/bash", "/bin/sh", "/busybox/sh"}
	if strings.HasPrefix(named, "/") && named != "/bin/sh" { // which every image names that says nothing
		candidates = slices.Insert(candidates, 0, named)
	}
	for _, name := range candidates {
		if c.Has(ctx, name) {
			return name, nil
		}
	}
	if err := context.Cause(ctx); err != nil {
		return "", err
	}
	return "", usagef("-- COMMAND [ARG…] runs a program that is in it; --target another stage, as the one that the program is built in",
		"the image has no shell (%s)", strings.Join(candidates, ", "))
}

// failureShell opens a shell where a build or a test has failed.
type failureShell struct {
	console *console
	display *display
	suite   *testsuite.Suite // nil: nothing is tested
	stderr  io.Writer
}

// open is for llb.Phases.Failed. Whatever goes wrong here does not change what the run
// comes to.
func (f *failureShell) open(ctx context.Context, t *llb.Trial, failed error) {
	where := "the build step failed"
	if f.suite != nil {
		if title, err := f.suite.Failure(t); err != nil {
			where, failed = fmt.Sprintf("test %q failed", title), err
		}
	}
	f.display.close()
	fmt.Fprintln(f.stderr)
	if err := f.run(ctx, t, where, failed); err != nil {
		fmt.Fprintf(f.stderr, "seatrial: no shell where %s: %s\n", where, message(err))
		for _, line := range hints(err) {
			fmt.Fprintf(f.stderr, "  %s\n", line)
		}
	}
}

func (f *failureShell) run(ctx context.Context, t *llb.Trial, where string, failed error) error {
	c, err := t.OpenFailed(ctx, failed)
	if errors.Is(err, llb.ErrNotKept) && exitedWell(failed) {
		return errors.New("its command did not fail, its reports did")
	}
	if err != nil {
		return err
	}
	defer c.Close(context.WithoutCancel(ctx))
	command := testsuite.Command(c.Args)
	shell, err := findShell(ctx, c, command[0])
	if err != nil {
		return err
	}
	fmt.Fprintf(f.stderr, "seatrial: a shell where %s, with all that it left; exit ends it\n", where)
	fmt.Fprintf(f.stderr, "  to run it again: %s\n", quoteAll(command))
	_, err = f.console.run(ctx, c, llb.Process{Args: []string{shell}})
	return err
}

// exitedWell tells a test that failed though its command did not.
func exitedWell(err error) bool {
	var report *testsuite.ReportError
	var flaky *testsuite.FlakyError
	return errors.As(err, &report) || errors.As(err, &flaky)
}

// quoteAll is a command as a shell reads it.
func quoteAll(args []string) string {
	out := make([]string, len(args))
	for i, arg := range args {
		out[i] = arg
		if arg == "" || strings.ContainsFunc(arg, func(r rune) bool { return !strings.ContainsRune(plainRunes, r) }) {
			out[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
	}
	return strings.Join(out, " ")
}

// plainRunes mean nothing to a shell.
const plainRunes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=,+@%"
