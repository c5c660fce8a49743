package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"
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
	if p.call != nil {
		err = p.ask(c.Context, std)
	} else {
		err = p.execute(c.Context, std)
	}
	err = errors.Join(err, p.build.Source.Close())
	if p.debug {
		explain(std.Err, err)
	}
	return err
}

func (p *plan) execute(ctx context.Context, std Streams) error {
	out := &outcome{
		mode: p.mode, names: p.imageNames(), noted: p.warned, started: time.Now(),
		nowhere:     !p.outputs.asked && len(p.refs) > 0,
		compression: p.build.ExportAttrs[string(exptypes.OptKeyLayerCompression)],
	}
	err := p.work(ctx, std, out)
	if errors.Is(context.Cause(ctx), errChanged) {
		return errors.Join(err, out.close())
	}
	out.finish(err)
	if line := out.syntax(); p.debug && line != "" {
		fmt.Fprintf(std.Err, "debug: %s\n", line)
	}
	// The files are written whatever happened: they say what did.
	err = errors.Join(err, p.writeFiles(out))
	if !p.quiet {
		out.summary(std.Err)
	}
	out.failures(std.Err)
	for _, line := range p.results(out) {
		if _, werr := fmt.Fprintln(std.Out, line); werr != nil {
			err = errors.Join(err, fmt.Errorf("printing the result: %w", werr))
		}
	}
	return errors.Join(err, out.close())
}

// work connects to a builder and has it build, test and ship.
func (p *plan) work(ctx context.Context, std Streams, out *outcome) error {
	if p.saved != nil {
		return p.pushSaved(ctx, std, out)
	}
	stderr := std.Err
	uploads := &uploads{}
	ship, ctx, err := p.startShipping(ctx, uploads)
	if err != nil {
		return err
	}
	defer ship.stop()
	builders, err := p.connect(ctx, stderr)
	out.connected(builders)
	if err != nil {
		return err
	}
	shares, err := p.shares(ctx, builders)
	if err != nil {
		return err
	}

	display, err := startDisplay(stderr, p.progress)
	if err != nil {
		return err
	}
	defer display.close()
	defer func() { out.unread = display.unreadCaches() }()
	uploads.showOn(display)
	out.shown = display.showsLogs
	p.lendKeys(ctx)
	build := p.build
	build.Status = display.send
	build.Large = func(t llb.Transfer) { display.step(largeHint(t))(nil) }
	if dir, err := os.UserCacheDir(); err == nil {
		build.PassedDir = filepath.Join(dir, "seatrial", "passed")
	}
	d := &delivery{plan: p, stdout: std.Out, out: out, display: display}
	return ship.whole(p.solvePatiently(ctx, shares, build, ship, d))
}

// solve has one builder do all of it.
func (p *plan) solve(ctx context.Context, s *share, build llb.Options, ship *shipping, d *delivery) error {
	out := d.out
	out.builder, build.Platforms, build.Index = s.builder, s.platforms, p.indexWanted
	if p.suite != nil {
		d.suites = []*testsuite.Suite{p.suite}
	}
	ph := p.phases(p.suite)
	ph.Ship = func(ctx context.Context, image *llb.Shipment) error {
		out.exported()
		if p.outputs.push {
			defer out.phase("push")()
		}
		return ship.ship(ctx, image, d)
	}
	if p.console != nil {
		ph.Failed = (&failureShell{console: p.console, display: d.display, suite: p.suite, stderr: p.console.err}).open
	}
	res, err := p.solveShare(ctx, s, []*share{s}, build, ph)
	if s.result = res; err == nil {
		out.builds = append(out.builds, s)
	}
	out.built(d.attested(res))
	if p.suite != nil {
		out.addReport(p.suite.Report(res.Record))
	}
	return p.classify(err, s.builder, res.Record)
}

// solveShare solves one of all shares, with what is known and kept of tests beside its
// caches.
func (p *plan) solveShare(ctx context.Context, s *share, all []*share, build llb.Options, ph llb.Phases) (*llb.Result, error) {
	if len(p.addrs) > 1 {
		build = cachesApart(build, s, all)
	}
	build.CacheImports = slices.DeleteFunc(slices.Clone(build.CacheImports), func(e client.CacheOptionsEntry) bool { return !holdsCache(e) })
	build.Recall = func(ctx context.Context) []llb.Passes { return p.recallPasses(ctx, build.CacheImports) }
	res, err := llb.Solve(ctx, s.builder.Client, build, ph)
	if err == nil && res.CacheErr == nil {
		res.CacheErr = p.keepPasses(ctx, build.CacheExports, res.Passed)
	}
	return res, err
}

// connect returns the builders that answered, even with an error.
func (p *plan) connect(ctx context.Context, stderr io.Writer) ([]*buildkitd.Builder, error) {
	builders := make([]*buildkitd.Builder, len(p.addrs))
	g, gctx := errgroup.WithContext(ctx)
	for i, addr := range p.addrs {
		opt := p.builder
		opt.Addr = addr
		if !p.quiet {
			opt.Notes = func(format string, args ...any) {
				fmt.Fprintf(stderr, "seatrial: %s\n", llb.Plain(fmt.Sprintf(format, args...)))
			}
		}
		g.Go(func() (err error) {
			builders[i], err = buildkitd.Connect(gctx, opt)
			return err
		})
	}
	err := g.Wait()
	// A registry that cannot be reached either is no reason to keep a wrong
	// address to oneself.
	var wrong *buildkitd.Error
	if cause := context.Cause(ctx); err != nil && cause != nil && !(errors.As(err, &wrong) && wrong.Usage) {
		err = cause
	}
	return slices.DeleteFunc(builders, func(b *buildkitd.Builder) bool { return b == nil }), err
}

// shares divides the work. A single builder is given all of it, whatever it says of
// itself.
func (p *plan) shares(ctx context.Context, builders []*buildkitd.Builder) ([]*share, error) {
	if len(builders) == 1 {
		return []*share{{builder: builders[0], platforms: p.build.Platforms}}, nil
	}
	return distribute(ctx, builders, p.build.Platforms)
}

// phases are those that find and try the tests of suite, which may be nil.
func (p *plan) phases(suite *testsuite.Suite) llb.Phases {
	ph := llb.Phases{}
	if suite != nil {
		ph = suite.Phases()
	}
	ph.Stages = func(have []string) ([]string, error) { return p.stages(suite, have) }
	return ph
}

// classify gives an error of the solve the kind that decides the exit code.
func (p *plan) classify(err error, builder *buildkitd.Builder, rec *llb.Record) error {
	var (
		failed *testsuite.FailedError
		push   *pushError
		output *outputError
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
	case errors.As(err, &push), errors.As(err, &output):
		return err
	default:
		failed := &buildError{err: err, credentials: p.access.pulling.sources()}
		for _, v := range rec.Failed() {
			failed.output += string(v.Log)
			if strings.HasPrefix(v.Name, "[context ") {
				failed.err = fmt.Errorf("%s: %w", v.Name, failed.err) // the daemon says not which
			}
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
