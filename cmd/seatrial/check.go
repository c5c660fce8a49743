package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/cmd/internal/buildkitd"
	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/testsuite"
)

// checkTimeout bounds how long a registry may take to say whether it takes a push.
const checkTimeout = 20 * time.Second

func checkCommand(std Streams) *cli.Command {
	return &cli.Command{
		Name: "check", Usage: "lint the Dockerfile; see whether builder and registries would do", ArgsUsage: contextUsage,
		Description: "Finds out in seconds what would stop a run, builds nothing, and says how to mend it:\n" +
			"violations of BuildKit's Dockerfile rules; base images, secrets, SSH agents,\n" +
			"entitlements and platforms that are missing; no test; a registry that refuses the push.\n\n" +
			"The findings are the result, on standard output. The exit code is what a run would\n" +
			"have ended with, the lowest if there are several; warnings alone are 0.",
		Flags: slices.Concat(destinationFlags("that a run would push to", "is left out: the references of -t are checked"), buildFlags(), imageFlags(), testFlags(),
			[]cli.Flag{boolFlag(catTest, "untested", "no tests are needed"), signFlag()}, keylessFlags(), registryFlags(), builderFlags(), []cli.Flag{
				&cli.StringFlag{Category: catOutput, Name: "format", Usage: "`FORMAT` of the findings: text or json", Value: "text", EnvVars: env("format")},
				boolFlag(catOutput, "fail-on-warning", "take warnings for errors (exit 3)"),
				boolFlag(catOutput, "quiet", "print findings only", "q"),
				boolFlag(catOutput, "debug", "show errors with all that led to them, and which credentials were used"),
			}),
		Action: func(c *cli.Context) error { return check(c, std) },
	}
}

func check(c *cli.Context, std Streams) error {
	format := c.String("format")
	if format != "text" && format != "json" {
		return usagef("", "--format %q is not one of text, json", format)
	}
	p, err := newPlan(c, modeCheck)
	if err != nil {
		return err
	}
	k := &checker{plan: p, stderr: std.Err}
	err = errors.Join(k.check(c.Context), p.build.Source.Close())
	if p.debug {
		explain(std.Err, err)
	}
	if err != nil {
		return err
	}
	return k.report(std, format, c.Bool("fail-on-warning"))
}

// checker collects findings about a plan. Registries and builder are asked at the
// same time.
type checker struct {
	plan   *plan
	stderr io.Writer

	mu     sync.Mutex
	found  []finding
	looked []string // at what

	foreignSyntax bool // a frontend image converts the Dockerfile
}

// add takes a finding, once: several builders may have the same to say.
func (k *checker) add(f finding) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !slices.ContainsFunc(k.found, func(g finding) bool { return g.short() == f.short() }) {
		k.found = append(k.found, f)
	}
}

func (k *checker) check(ctx context.Context) error {
	have := k.source()
	for _, f := range k.plan.warned {
		k.add(f)
	}
	var wg sync.WaitGroup
	wg.Go(func() { k.registries(ctx) })
	err := k.builders(ctx, have)
	wg.Wait()
	if n := len(k.plan.refs); n > 0 {
		k.looked = append(k.looked, plural(n, "reference"))
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// source are the stages of a Dockerfile that is here; none if it is remote, or no
// Dockerfile.
func (k *checker) source() []string {
	src := k.plan.build.Source
	if src == nil {
		return nil
	}
	if syntax, err := src.Syntax(k.plan.build); err == nil && syntax.Frontend != "" {
		k.foreignSyntax = true // whatever it is, the frontend image knows
		return nil
	}
	have, err := src.Stages()
	if err != nil {
		k.add(findingOf("dockerfile", &buildError{err: err}))
	}
	return have
}

// errFound ends looking further; why was found already.
var errFound = errors.New("what was found makes the rest pointless")

// builders connects to the builders, and has each look at its share of the work.
func (k *checker) builders(ctx context.Context, have []string) error {
	p := k.plan
	builders, err := p.connect(ctx, k.stderr)
	for _, b := range builders {
		defer b.Close()
		k.looked = append(k.looked, "builder "+b.Addr)
	}
	var e *buildkitd.Error
	switch {
	case errors.As(err, &e) && !e.Usage:
		k.add(findingOf("builder", err))
	case err != nil:
		return err
	}
	if err != nil || have == nil && p.build.Source != nil && !k.foreignSyntax {
		_, _ = k.stages(have) // this much can be known without
		return nil
	}
	shares, err := p.shares(ctx, builders)
	if err != nil {
		k.add(findingOf("builder", err))
	}
	for _, s := range shares {
		if err := k.share(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (k *checker) share(ctx context.Context, s *share) error {
	opt := k.plan.build
	opt.Platforms = s.platforms
	ins, err := llb.Check(ctx, s.builder.Client, opt, k.stages)
	switch {
	case errors.Is(err, errFound):
	case err != nil:
		k.add(findingOf("dockerfile", k.plan.classify(err, s.builder, &llb.Record{})))
	default:
		k.inspected(ins)
	}
	return context.Cause(ctx)
}

// stages finds what is wrong with the stages that the command line names, and
// returns those that tests need.
func (k *checker) stages(have []string) ([]string, error) {
	if have == nil {
		return nil, nil
	}
	want, err := k.plan.stages(k.plan.suite, have)
	switch {
	case err == nil:
		return want, nil
	case errors.Is(err, testsuite.ErrNoTests):
		k.add(findingOf("tests", err))
		return nil, nil
	}
	k.add(findingOf("tests", err))
	return nil, errFound
}
