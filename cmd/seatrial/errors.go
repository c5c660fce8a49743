package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"

	"github.com/moby/buildkit/solver/errdefs"

	"github.com/seatrial/seatrial/cmd/internal/buildkitd"
	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/registry"
	"github.com/seatrial/seatrial/testsuite"
)

// Exit codes: what a pipeline may tell apart.
const (
	exitUnexpected = 1
	exitUsage      = 2
	exitBuild      = 3
	exitTest       = 4
	exitBuilder    = 5
	exitPush       = 6
	exitPartial    = 7
)

// usageError is about the command line or a file that it names; nothing was run.
type usageError struct {
	err  error
	hint string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// usagef makes a usageError; %w keeps the cause.
func usagef(hint, format string, args ...any) error {
	return &usageError{err: fmt.Errorf(format, args...), hint: hint}
}

// buildError is a build that failed.
type buildError struct {
	err    error
	output string // the end of what the failed steps printed
	// credentials are those that the builder got for pulling: where they are
	// from, a line for each host that it asked about.
	credentials []string
}

func (e *buildError) Error() string { return e.err.Error() }
func (e *buildError) Unwrap() error { return e.err }

// pushError is a push that failed.
type pushError struct{ err error }

func (e *pushError) Error() string { return e.err.Error() }
func (e *pushError) Unwrap() error { return e.err }

// lostError is a builder that went away.
type lostError struct {
	addr string
	err  error
}

func (e *lostError) Error() string {
	return fmt.Sprintf("the builder at %s was lost: %v", e.addr, e.err)
}
func (e *lostError) Unwrap() error { return e.err }

// signalError is the user, or the system, telling us to stop.
type signalError struct{ sig syscall.Signal }

func (e *signalError) Error() string {
	switch e.sig {
	case syscall.SIGTERM:
		return "terminated"
	case syscall.SIGHUP:
		return "the terminal was closed"
	default:
		return "interrupted"
	}
}

// exitCode is the one place where errors become exit codes.
func exitCode(err error) int {
	var (
		usage   *usageError
		syntax  *llb.SyntaxError
		builder *buildkitd.Error
		lost    *lostError
		failed  *testsuite.FailedError
		cannot  *testsuite.UnexecutableError
		never   *testsuite.ImpossibleError
		partial *registry.PartialError
		push    *pushError
		build   *buildError
		check   *checkError
		output  *outputError
		signal  *signalError
		proof   *unprovenError
		read    *readError
	)
	switch {
	case err == nil:
		return 0
	case errors.As(err, &check):
		return check.code
	case errors.As(err, &signal):
		return 128 + int(signal.sig)
	case errors.As(err, &usage), errors.As(err, &syntax), errors.As(err, &cannot), errors.As(err, &never):
		return exitUsage
	case errors.As(err, &builder):
		if builder.Usage {
			return exitUsage
		}
		return exitBuilder
	case errors.As(err, &partial):
		return exitPartial // whatever it was that ended the push
	case errors.As(err, &lost):
		return exitBuilder
	case errors.As(err, &failed), errors.As(err, &proof):
		return exitTest
	case errors.As(err, &push), errors.As(err, &read):
		return exitPush
	case errors.As(err, &build), errors.As(err, &output):
		return exitBuild
	default:
		return exitUnexpected
	}
}

// report shows err with the lines that it is about and what can be done, and
// returns its exit code.
func report(ctx context.Context, err error, w io.Writer) int {
	if err == nil {
		return 0
	}
	var status exitStatus
	if errors.As(err, &status) && context.Cause(ctx) == nil {
		return int(status)
	}
	var signal *signalError
	var unknown []string
	if errors.As(context.Cause(ctx), &signal) {
		unknown = unknownTags(err)
		err = errors.Join(signal)
	}
	for _, src := range errdefs.Sources(err) {
		printSource(w, src)
	}
	fmt.Fprintf(w, "seatrial: %s\n", message(err))
	for _, line := range append(unknown, hints(err)...) {
		fmt.Fprintf(w, "  %s\n", withoutUserinfo(line))
	}
	return exitCode(err)
}

// unknownTags says of which tags nobody knows whether they moved.
func unknownTags(err error) []string {
	var partial *registry.PartialError
	if !errors.As(err, &partial) {
		return nil
	}
	var lines []string
	for _, f := range partial.Failed {
		if f.Unsure {
			lines = append(lines, fmt.Sprintf("whether %s moved is unknown", canonical(f.Reference)))
		}
	}
	return lines
}

// message is err without the wrappings that say nothing to a user.
func message(err error) string {
	return strings.TrimSpace(sanitize(withoutUserinfo(testsuite.Plain(err.Error()))))
}

// messages are those of errors that were joined, each once.
func messages(err error) []string {
	if err == nil {
		return nil
	}
	many, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []string{message(err)}
	}
	var out []string
	for _, e := range many.Unwrap() {
		for _, text := range messages(e) {
			if !slices.Contains(out, text) {
				out = append(out, text)
			}
		}
	}
	return out
}

// sanitize keeps what a remote side put into an error from driving the terminal.
func sanitize(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r == '\uFFFD' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// explain shows the types and texts that err is made of.
func explain(w io.Writer, err error) {
	if err == nil {
		return
	}
	fmt.Fprintf(w, "debug: %T: %s\n", err, firstLine(message(err)))
	if _, ok := err.(*registry.Error); ok { //nolint:errorlint // as below
		return // what is behind it may hold signed URLs
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			explain(w, e)
		}
		return
	}
	explain(w, errors.Unwrap(err))
}
