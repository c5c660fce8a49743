package llb

import (
	"context"
	"fmt"

	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/attestations/sbom"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerui"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/frontend/subrequests/convertllb"
	"github.com/moby/buildkit/frontend/subrequests/lint"
	"github.com/moby/buildkit/frontend/subrequests/outline"
	"github.com/moby/buildkit/frontend/subrequests/targets"
	"github.com/moby/buildkit/solver/result"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	bkllb "github.com/moby/buildkit/client/llb"
)

var _ gateway.BuildFunc = Frontend

// Frontend is the Dockerfile converter as a gateway BuildFunc under BuildKit's
// frontend contract: the FrontendAttrs of dockerfile.v0 (target, platform,
// build-arg:NAME, label:NAME, context:NAME, …), the locals "context" and
// "dockerfile", and the subrequests for lint, outline, targets and LLB. It runs
// no other frontend: a "# syntax=" line that the built-in converter cannot serve
// is a [*SyntaxError]. An error about the Dockerfile carries its lines.
func Frontend(ctx context.Context, c gateway.Client) (*gateway.Result, error) {
	cv, err := openConversion(ctx, newBases().client(c))
	if err != nil {
		return nil, err
	}
	if _, err := cv.checkSyntax(nil); err != nil {
		return nil, err
	}
	if err := checkCaps(cv.ui.BuildOpts().Opts["frontend.caps"]); err != nil {
		return nil, err
	}
	if res, ok, err := cv.subrequest(ctx); ok || err != nil {
		return res, cv.locate(err)
	}
	stages, err := cv.stages(ctx, "", cv.firstWarnings(ctx))
	if err != nil {
		return nil, err
	}
	return cv.image(ctx, stages)
}

// image builds stages and adds what the frontend itself attests of them.
func (cv *conversion) image(ctx context.Context, stages []*Stage) (*gateway.Result, error) {
	if cv.foreign != nil {
		return cv.foreignImage(ctx, stages)
	}
	scan, err := cv.scanner(ctx)
	if err != nil {
		return nil, err
	}
	rb, err := cv.build(ctx, stages)
	if err != nil {
		return nil, cv.locate(err)
	}
	if scan != nil {
		if err := cv.scan(ctx, rb, scan, stages); err != nil {
			return nil, err
		}
	}
	return rb.Finalize()
}

func (cv *conversion) subrequest(ctx context.Context) (*gateway.Result, bool, error) {
	opt := cv.options()
	opt.Warn = cv.warn(ctx)
	return cv.ui.HandleSubrequest(ctx, dockerui.RequestHandler{
		Outline: func(ctx context.Context) (*outline.Outline, error) {
			return dockerfile2llb.Dockerfile2Outline(ctx, cv.src.Data, opt)
		},
		ListTargets: func(ctx context.Context) (*targets.List, error) {
			return dockerfile2llb.ListTargets(ctx, cv.src.Data)
		},
		Lint: func(ctx context.Context) (*lint.LintResults, error) {
			return dockerfile2llb.DockerfileLint(ctx, cv.src.Data, opt)
		},
		ConvertLLB: func(ctx context.Context) (*convertllb.Result, error) {
			return dockerfile2llb.DockerfileConvertLLB(ctx, cv.src.Data, opt)
		},
	})
}

// scanner is the SBOM generator that the options ask for, nil if none.
func (cv *conversion) scanner(ctx context.Context) (sbom.Scanner, error) {
	if cv.ui.SBOM == nil {
		return nil, nil
	}
	platform := cv.ui.BuildPlatforms[0]
	scan, err := sbom.CreateSBOMScanner(ctx, cv.gateway, cv.ui.SBOM.Generator, platform, sourceresolver.Opt{
		ImageOpt: &sourceresolver.ResolveImageOpt{
			ResolveMode: cv.ui.BuildOpts().Opts["image-resolve-mode"],
			Platform:    &platform,
		},
	}, cv.ui.SBOM.Parameters)
	if err != nil {
		return nil, fmt.Errorf("finding the SBOM generator: %w", err)
	}
	return scan, nil
}

func (cv *conversion) scan(ctx context.Context, rb *dockerui.ResultBuilder, scan sbom.Scanner, stages []*Stage) error {
	return rb.EachPlatform(ctx, func(ctx context.Context, id string, p ocispecs.Platform) error {
		st := stageFor(stages, p)
		var opts []bkllb.ConstraintsOpt
		if st.ignoreCache {
			opts = append(opts, bkllb.IgnoreCache)
		}
		att, err := scan(ctx, id, st.result.SBOM.Core, st.result.SBOM.Extras, opts...)
		if err != nil {
			return err
		}
		solved, err := result.ConvertAttestation(&att, func(state *bkllb.State) (gateway.Reference, error) {
			def, err := state.Marshal(ctx)
			if err != nil {
				return nil, err
			}
			res, err := cv.gateway.Solve(ctx, gateway.SolveRequest{Definition: def.ToPB()})
			if err != nil {
				return nil, err
			}
			return res.Ref, nil
		})
		if err != nil {
			return err
		}
		rb.AddAttestation(id, *solved)
		return nil
	})
}
