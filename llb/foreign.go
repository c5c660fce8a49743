package llb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/frontend/subrequests/targets"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"
)

// foreign is a frontend image that converts the Dockerfile in the builder.
type foreign struct {
	client gateway.Client
	bases  *bases
	image  string            // with its digest
	opts   map[string]string // what it is told
	inputs map[string]*pb.Definition
	locate func(error) error // gives an error the syntax line
}

// chooseFrontend decides on what converts the Dockerfile, and prepares a frontend
// image to do so. c is the gateway that it is going to be run through.
func (cv *conversion) chooseFrontend(ctx context.Context, c gateway.Client, allowed []AllowedFrontend, b *bases) (Syntax, error) {
	syn, err := cv.checkSyntax(allowed)
	if err != nil || syn.Frontend == "" {
		return syn, err
	}
	locate := func(err error) error { return syn.locate(err, sourceInfo(cv.src.SourceMap)) }
	if syn.Frontend, err = pin(ctx, c, syn.Frontend, allowed, b); err != nil {
		return Syntax{}, locate(err)
	}
	b.announceAny()
	opts := maps.Clone(cv.gateway.BuildOpts().Opts)
	opts["source"], opts["cmdline"] = syn.Frontend, syn.cmdline
	for k := range opts {
		if strings.HasPrefix(k, "context:") {
			// One that knows no named contexts would build another image.
			opts["frontend.caps"] = "moby.buildkit.frontend.contexts"
		}
	}
	inputs, err := cv.frontendInputs(ctx)
	if err != nil {
		return Syntax{}, err
	}
	cv.foreign = &foreign{client: c, bases: b, image: syn.Frontend, opts: opts, inputs: inputs, locate: locate}
	return syn, nil
}

// frontendInputs are the graphs that named contexts stand for.
func (cv *conversion) frontendInputs(ctx context.Context) (map[string]*pb.Definition, error) {
	states, err := cv.gateway.Inputs(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the frontend's inputs: %w", err)
	}
	defs := map[string]*pb.Definition{}
	for name, st := range states {
		def, err := st.Marshal(ctx)
		if err != nil {
			return nil, fmt.Errorf("marshalling LLB of named context %q: %w", name, err)
		}
		defs[name] = def.ToPB()
	}
	return defs, nil
}

// pin is the frontend image ref with the digest that it stands for now: image and
// tests are to be of one frontend, and of one that is allowed.
func pin(ctx context.Context, c gateway.Client, ref string, allowed []AllowedFrontend, b *bases) (string, error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return "", fmt.Errorf("reading frontend image %q: %w", ref, err)
	}
	b.announce(ref)
	if _, ok := named.(reference.Digested); ok {
		return named.String(), nil
	}
	named = reference.TagNameOnly(named)
	_, dgst, _, err := c.ResolveImageConfig(ctx, named.String(), sourceresolver.Opt{
		LogName:  "[internal] load metadata for frontend image " + named.String(),
		ImageOpt: &sourceresolver.ResolveImageOpt{},
	})
	if err != nil {
		return "", fmt.Errorf("resolving frontend image %s: %w", ref, err)
	}
	if refusal := permitDigest(named, dgst, allowed); refusal != "" {
		return "", &SyntaxError{Frontend: ref, Reason: fmt.Sprintf("its digest is %s, and %s", dgst, refusal)}
	}
	pinned, err := reference.WithDigest(named, dgst)
	if err != nil {
		return "", fmt.Errorf("resolving frontend image %s: %w", ref, err)
	}
	return pinned.String(), nil
}

// solve runs the frontend with more options.
func (f *foreign) solve(ctx context.Context, more map[string]string) (*gateway.Result, error) {
	opts := maps.Clone(f.opts)
	maps.Copy(opts, more)
	res, err := f.client.Solve(ctx, gateway.SolveRequest{Frontend: "gateway.v0", FrontendOpt: opts, FrontendInputs: f.inputs})
	if err != nil && len(errdefs.Sources(err)) == 0 {
		err = f.locate(fmt.Errorf("running frontend image %s: %w", f.image, err))
	}
	return res, err
}

// stageNames lists the stages, the default target last; none if neither the
// frontend tells them nor the file reads as a Dockerfile.
func (cv *conversion) stageNames(ctx context.Context) ([]string, error) {
	if cv.foreign == nil {
		return stageNames(cv.src.Filename, cv.src.Data)
	}
	res, err := cv.foreign.solve(ctx, map[string]string{
		"requestid": targets.RequestTargets,
		// One that knows no requests would build.
		"frontend.caps": "moby.buildkit.frontend.subrequests",
	})
	var (
		noRequests *errdefs.UnsupportedFrontendCapError
		noTargets  *errdefs.UnsupportedSubrequestError
		list       targets.List
	)
	switch {
	case errors.As(err, &noRequests), errors.As(err, &noTargets):
	case err != nil:
		// BuildKit's frontends give the lines of a mistake when they build,
		// not when they are asked.
		if _, err := cv.foreign.solve(ctx, nil); err != nil {
			return nil, err
		}
	case json.Unmarshal(res.Metadata["result.json"], &list) == nil && len(list.Targets) > 0:
		return listed(list.Targets), nil
	}
	names, err := stageNames(cv.src.Filename, cv.src.Data)
	if err != nil {
		return nil, nil //nolint:nilerr // it need not be a Dockerfile
	}
	return names, nil
}

func listed(list []targets.Target) []string {
	var names, last []string
	for _, t := range list {
		if t.Default {
			last = append(last, t.Name)
		} else {
			names = append(names, t.Name)
		}
	}
	return append(names, last...)
}

// bad is an error about what the frontend returned.
func (f *foreign) bad(err error) error {
	return f.locate(fmt.Errorf("reading the result of frontend image %s: %w", f.image, err))
}
