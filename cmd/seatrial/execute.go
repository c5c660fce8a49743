package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/seatrial/seatrial/cmd/internal/buildkitd"
	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/testsuite"
)

// execute is run, build and test: they differ in how far they go.
func execute(c *cli.Context, std Streams, m mode) error {
	p, err := newPlan(c, m)
	if err != nil {
		return err
	}
	err = p.execute(c.Context, std)
	if p.debug {
		explain(std.Err, err)
	}
	return err
}

func (p *plan) execute(ctx context.Context, std Streams) error {
	out := &outcome{mode: p.mode, started: time.Now()}
	err := p.work(ctx, std.Err, out)
	out.finish(err)
	// The files are written whatever happened: they say what did.
	err = errors.Join(err, p.writeFiles(out))
	if !p.quiet {
		out.summary(std.Err)
	}
	out.failures(std.Err)
	for _, line := range out.results() {
		if _, werr := fmt.Fprintln(std.Out, line); werr != nil {
			err = errors.Join(err, fmt.Errorf("printing the result: %w", werr))
		}
	}
	return errors.Join(err, out.close())
}

// work connects to a builder and has it build, test and ship.
func (p *plan) work(ctx context.Context, stderr io.Writer, out *outcome) error {
	uploads := &uploads{}
	ship, ctx, err := p.startShipping(ctx, uploads, stderr)
	if err != nil {
		return err
	}
	defer ship.stop()
	builder, err := p.connect(ctx, stderr)
	if err != nil {
		return err
	}
	out.connected(builder)

	display, err := startDisplay(stderr, p.progress)
	if err != nil {
		return err
	}
	uploads.display = display
	build := p.build
	build.Status = display.send
	build.PullCredentials = pullCredentials()
	if dir, err := os.UserCacheDir(); err == nil {
		build.PassedDir = filepath.Join(dir, "seatrial", "passed")
	}
	build.Recall = p.recallPasses
	res, err := llb.Solve(ctx, builder.Client, build, p.phases(out, display, ship))
	if err == nil && res.CacheErr == nil {
		res.CacheErr = p.keepPasses(ctx, res.Passed)
	}
	display.close()
	out.built(res)
	if p.suite != nil {
		out.report = p.suite.Report(res.Record)
		out.add("test", out.report.Duration())
	}
	out.shown = display.showsLogs
	return p.classify(err, builder, res.Record)
}

func (p *plan) connect(ctx context.Context, stderr io.Writer) (*buildkitd.Builder, error) {
	opt := p.builder
	if !p.quiet {
		opt.Notes = func(format string, args ...any) { fmt.Fprintf(stderr, "seatrial: "+format+"\n", args...) }
	}
	builder, err := buildkitd.Connect(ctx, opt)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return nil, cause
	}
	return builder, err
}

func (p *plan) phases(out *outcome, display *display, ship *shipping) llb.Phases {
	ph := llb.Phases{Stages: func(have []string) ([]string, error) {
		if err := p.stages(have); err != nil {
			return nil, err
		}
		if p.suite == nil {
			return nil, nil
		}
		return p.suite.Stages(have)
	}}
	if p.suite != nil {
		ph.Try = p.suite.Try
	}
	switch p.mode {
	case modeBuild, modeTest:
		// Exported all the same: only so an image has a digest to be known by.
		ph.Ship = func(ctx context.Context, s *llb.Shipment) error {
			out.exported()
			s.Release()
			return s.Verdict(ctx)
		}
	case modeRun:
		ph.Ship = func(ctx context.Context, s *llb.Shipment) error {
			out.exported()
			defer out.phase("push")()
			return ship.ship(ctx, s, out, display)
		}
	}
	return ph
}

// classify gives an error of the solve the kind that decides the exit code.
func (p *plan) classify(err error, builder *buildkitd.Builder, rec *llb.Record) error {
	var (
		failed *testsuite.FailedError
		push   *pushError
		usage  *usageError
		signal *signalError
		syntax *llb.SyntaxError
		cannot *testsuite.UnexecutableError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &failed), errors.As(err, &usage), errors.As(err, &signal), errors.As(err, &syntax), errors.As(err, &cannot):
		return err
	case lost(err) && !answers(builder):
		return &lostError{addr: builder.Addr, err: err}
	case errors.As(err, &push):
		return err
	default:
		failed := &buildError{err: err}
		for _, v := range rec.Failed() {
			failed.output += string(v.Log)
		}
		return failed
	}
}

// lost tells whether err may come from a daemon that went away.
func lost(err error) bool {
	for e := err; e != nil; e = errors.Unwrap(e) {
		if st, ok := status.FromError(e); ok && (st.Code() == codes.Unavailable || st.Code() == codes.Unknown) {
			return true
		}
	}
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
}

// answers asks the builder for a sign of life.
func answers(b *buildkitd.Builder) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, err := b.Client.ListWorkers(ctx)
	return err == nil
}
