package llb

import (
	"context"
	"slices"
	"strings"

	"github.com/moby/buildkit/client"
	bkllb "github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/frontend/subrequests/lint"
	"github.com/moby/buildkit/session"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// Inspection is what can be known of a build without building anything.
type Inspection struct {
	// Frontend is the image that converts the Dockerfile, with its digest; "" for
	// the built-in converter. Of what is missing no more is known then than Frontend
	// says, which is secrets and SSH agents: it would have to convert, and may run
	// steps to do so.
	Frontend string
	// Unlinted is why Frontend did not lint; nil if it did.
	Unlinted error
	// Untold is why Frontend did not say what it asks for; nil if it did.
	Untold error
	// Lint is what BuildKit's linter, or Frontend, says of the whole Dockerfile.
	Lint *lint.LintResults
	// Missing is what the build needs and would not get.
	Missing []Missing
	// Err is why the Dockerfile cannot be converted, with its lines; nil if it
	// can.
	Err error
	// Platforms are those of the image.
	Platforms []ocispecs.Platform
	// Workers are the platforms that the daemon can execute.
	Workers []ocispecs.Platform
}

// Executable tells whether the daemon can execute p.
func (i *Inspection) Executable(p ocispecs.Platform) bool { return executable(i.Workers, p) }

// Check looks at what a build of opt would need: of its Dockerfile's image, and of
// the stages that the function stages names when it is told those that there are.
// An error is the function's, or means that Check could not look: nothing is known
// then.
func Check(ctx context.Context, c *client.Client, opt Options, stages func(have []string) (want []string, err error)) (*Inspection, error) {
	in, err := newInputs(opt)
	if err != nil {
		return nil, err
	}
	out := &Inspection{}
	workers, err := c.ListWorkers(ctx)
	if err != nil {
		return nil, err
	}
	for _, w := range workers {
		out.Workers = append(out.Workers, w.Platforms...)
	}
	n := &needs{opt: opt, workers: out.Workers, absent: map[string]error{}}
	err = look(ctx, c, opt, in, func(ctx context.Context, g gateway.Client, sess *session.Session, b *bases) error {
		n.caps = g.BuildOpts().LLBCaps
		cv, err := openConversion(ctx, &lenient{Client: g, absent: n.absent})
		if err != nil {
			return err
		}
		if _, err := cv.chooseFrontend(ctx, g, opt.AllowFrontends, b); err != nil {
			return err
		}
		look := out.inspect
		if cv.foreign != nil {
			look = out.ask
		}
		if err := look(ctx, cv, n, stages); err != nil {
			return err
		}
		out.Missing = append(n.found, refusals(ctx, c, sess, slices.Concat(opt.Entitlements, n.entitled))...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (i *Inspection) inspect(ctx context.Context, cv *conversion, n *needs, stages func([]string) ([]string, error)) error {
	have, err := stageNames(cv.src.Filename, cv.src.Data)
	if err != nil {
		return err
	}
	want, err := stages(have)
	if err != nil {
		return err
	}
	if err := i.lint(ctx, cv); err != nil {
		return err
	}
	for _, name := range append([]string{""}, want...) {
		converted, err := cv.stages(ctx, name, nil)
		if err != nil {
			if i.Err == nil {
				i.Err = err
			}
			continue
		}
		for _, st := range converted {
			if name == "" {
				i.Platforms = append(i.Platforms, st.Platform)
			}
			if err := n.add(ctx, name, st); err != nil {
				return err
			}
		}
	}
	i.forgetGuesses(n)
	return nil
}

// lint has all stages looked at, of whatever target.
func (i *Inspection) lint(ctx context.Context, cv *conversion) (err error) {
	opt := cv.options()
	opt.Target = ""
	i.Lint, err = dockerfile2llb.DockerfileLint(ctx, cv.src.Data, opt)
	return err
}

// forgetGuesses drops what was said on the ground of an image that is not there.
func (i *Inspection) forgetGuesses(n *needs) {
	if len(n.absent) == 0 {
		return
	}
	guesses := []string{linter.RuleUndefinedVar.Name, linter.RuleWorkdirRelativePath.Name, linter.RuleInvalidBaseImagePlatform.Name}
	i.Lint.Warnings = slices.DeleteFunc(i.Lint.Warnings, func(w lint.Warning) bool { return slices.Contains(guesses, w.RuleName) })
}

// refusals asks the daemon whether it would grant entitlements, for solving nothing.
func refusals(ctx context.Context, c *client.Client, sess *session.Session, wanted []string) []Missing {
	var out []Missing
	slices.Sort(wanted)
	for _, e := range slices.Compact(wanted) {
		opt := client.SolveOpt{SharedSession: sess, SessionPreInitialized: true, Internal: true, AllowedEntitlements: []string{e}}
		_, err := c.Solve(ctx, &bkllb.Definition{}, opt, nil)
		if err != nil && strings.Contains(err.Error(), "not allowed") {
			out = append(out, Missing{Kind: RefusedEntitlement, Name: e, Err: err})
		}
	}
	return out
}
