package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/docker/cli/cli/config"
	"github.com/moby/buildkit/session/auth/authprovider"
	"github.com/urfave/cli/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/seatrial/seatrial/cmd/internal/buildkitd"
	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/registry"
	"github.com/seatrial/seatrial/testsuite"
)

// execute is run, build and test: they differ in how far they go.
func execute(c *cli.Context, std Streams, m mode) error {
	p, err := newPlan(c, m)
	if err != nil {
		return err
	}
	return p.execute(c.Context, std)
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
	opt := p.builder
	if !p.quiet {
		opt.Notes = func(format string, args ...any) { fmt.Fprintf(stderr, "seatrial: "+format+"\n", args...) }
	}
	builder, err := buildkitd.Connect(ctx, opt)
	if err != nil {
		return err
	}
	out.connected(builder)

	display, err := startDisplay(stderr, p.progress)
	if err != nil {
		return err
	}
	build := p.build
	build.Status = display.send
	build.PullCredentials = pullCredentials()
	res, err := llb.Solve(ctx, builder.Client, build, p.phases(out, display))
	display.close()
	out.built(res)
	if p.suite != nil {
		out.report = p.suite.Report(res.Record)
	}
	out.shown = display.showsLogs
	return p.classify(err, builder, res.Record)
}

// pullCredentials are those of the docker configuration, for base images.
func pullCredentials() authprovider.AuthConfigProvider {
	return authprovider.LoadAuthConfig(config.LoadDefaultConfigFile(io.Discard))
}

func (p *plan) phases(out *outcome, display *display) llb.Phases {
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
		ph.Try = func(ctx context.Context, t *llb.Trial) error {
			defer out.phase("test")()
			return p.suite.Try(ctx, t)
		}
	}
	switch p.mode {
	case modeBuild:
		ph.Ship = func(context.Context, *llb.Shipment) error { return nil }
	case modeRun:
		ph.Ship = func(ctx context.Context, s *llb.Shipment) error {
			out.exported()
			defer out.phase("push")()
			return p.ship(ctx, s, out, display)
		}
	}
	return ph
}

// ship uploads while tests run, and moves tags when they have passed.
func (p *plan) ship(ctx context.Context, s *llb.Shipment, out *outcome, display *display) error {
	uploads := newUploads(display)
	store := registry.ContentDirs(out.builder.ContentDirs(), registry.DaemonContent(s.Content))
	artifact, err := registry.Load(ctx, store, s.Descriptor, registry.LoadOptions{
		Bases: bases(s.Bases), Materialize: s.Materialize,
	})
	if err != nil {
		return &pushError{err}
	}
	push, err := registry.NewPush(p.refs, registry.Options{Progress: uploads.progress})
	if err != nil {
		return &pushError{err}
	}
	err = p.upload(ctx, s, push, artifact)
	uploads.end(err)
	if err != nil {
		return err
	}
	s.Release()
	if err := s.Verdict(ctx); err != nil {
		return err
	}
	done := display.step(fmt.Sprintf("[push] tagging %s", plural(len(p.refs), "reference")))
	pushed, err := push.Commit(ctx, artifact)
	done(err)
	out.pushed = pushed
	var partial *registry.PartialError
	if errors.As(err, &partial) {
		out.pushed = partial.Moved
	}
	if err != nil {
		return &pushError{err}
	}
	return nil
}

// upload sends the blobs. A failed test ends it; the bytes would be in vain.
func (p *plan) upload(ctx context.Context, s *llb.Shipment, push *registry.Push, artifact registry.Artifact) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		if err := s.Verdict(ctx); err != nil {
			cancel(err)
		}
	}()
	err := push.Upload(ctx, artifact)
	var failed *testsuite.FailedError
	if cause := context.Cause(ctx); errors.As(cause, &failed) {
		return cause
	}
	if err != nil {
		return &pushError{err}
	}
	return nil
}

func bases(list []llb.Base) []registry.Base {
	out := make([]registry.Base, 0, len(list))
	for _, b := range list {
		if h, err := hash(b.Digest.String()); err == nil {
			out = append(out, registry.Base{Reference: b.Reference, Digest: h})
		}
	}
	return out
}

// classify gives an error of the solve the kind that decides the exit code.
func (p *plan) classify(err error, builder *buildkitd.Builder, rec *llb.Record) error {
	var (
		failed *testsuite.FailedError
		push   *pushError
		usage  *usageError
		signal *signalError
		syntax *llb.SyntaxError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &failed), errors.As(err, &usage), errors.As(err, &signal), errors.As(err, &syntax):
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
