package llb

import (
	"context"
	"fmt"
	"maps"

	"github.com/moby/buildkit/client"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/session"
)

// Call makes one of the requests of the frontend contract that build nothing, such
// as "frontend.lint", "frontend.outline" or "frontend.targets", and returns what it
// answers: "result.json", and for most "result.txt" and "version". A request that
// there is not is BuildKit's errdefs.UnsupportedSubrequestError; an error about the
// Dockerfile carries its lines.
func Call(ctx context.Context, c *client.Client, opt Options, request string) (map[string][]byte, error) {
	in, err := newInputs(opt)
	if err != nil {
		return nil, err
	}
	in.attrs["requestid"] = request
	var answer map[string][]byte
	err = look(ctx, c, opt, in, func(ctx context.Context, g gateway.Client, _ *session.Session) error {
		cv, err := openDockerfile(ctx, g, opt)
		if err != nil {
			return err
		}
		res, ok, err := cv.subrequest(ctx)
		if err != nil {
			return cv.locate(err)
		}
		if !ok || res == nil {
			return fmt.Errorf("calling %s: no answer", request)
		}
		answer = res.Metadata
		return nil
	})
	return answer, err
}

// look opens a build that only looks at the Dockerfile: nothing comes of it, and
// the daemon's history does not show it. The error of f is returned as it is.
func look(ctx context.Context, c *client.Client, opt Options, in *inputs, f func(context.Context, gateway.Client, *session.Session) error) error {
	b := newBases()
	unused := func(context.Context, map[string]string) error { return nil } // nothing is exported
	sess, closeSession, err := startSession(ctx, c, in, opt, Gear{}, b, unused)
	if err != nil {
		return err
	}
	defer closeSession()
	status := newStatusMerge(opt)
	solveOpt := client.SolveOpt{
		SharedSession: sess, SessionPreInitialized: true, Internal: true,
		FrontendAttrs: maps.Clone(in.attrs),
	}
	var own error
	_, err = c.Build(ctx, solveOpt, "", func(ctx context.Context, g gateway.Client) (*gateway.Result, error) {
		if in.src != nil {
			g = &localFiles{Client: g, src: in.src}
		}
		g, err := withInputs(ctx, b.client(g), in)
		if err == nil {
			err = f(ctx, g, sess)
		}
		own = err
		return gateway.NewResult(), own
	}, status.stream())
	status.wait()
	if own != nil && ctx.Err() == nil {
		return own // the daemon's rendering of it has lost its type
	}
	return err
}

// openDockerfile opens a conversion by our own converter. A Dockerfile that a
// frontend image converts is an error, even if opt allows that image.
func openDockerfile(ctx context.Context, g gateway.Client, opt Options) (*conversion, error) {
	cv, err := openConversion(ctx, g)
	if err != nil {
		return nil, err
	}
	syn, err := cv.checkSyntax(opt.AllowFrontends)
	if err == nil && syn.Frontend != "" {
		err = syn.locate(fmt.Errorf("looking at the Dockerfile: frontend image %s can only be built with, not asked", syn.Asked), sourceInfo(cv.src.SourceMap))
	}
	return cv, err
}
