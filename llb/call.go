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
// Dockerfile carries its lines. A frontend image that opt allows is asked itself.
func Call(ctx context.Context, c *client.Client, opt Options, request string) (map[string][]byte, error) {
	in, err := newInputs(opt)
	if err != nil {
		return nil, err
	}
	in.attrs["requestid"] = request
	var answer map[string][]byte
	err = look(ctx, c, opt, in, func(ctx context.Context, g gateway.Client, _ *session.Session, b *bases) error {
		cv, err := openConversion(ctx, g)
		if err != nil {
			return err
		}
		if _, err := cv.chooseFrontend(ctx, g, opt.AllowFrontends, b); err != nil {
			return err
		}
		if cv.foreign != nil {
			answer, err = cv.foreign.call(ctx, request, "")
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
func look(ctx context.Context, c *client.Client, opt Options, in *inputs, f func(context.Context, gateway.Client, *session.Session, *bases) error) error {
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
			err = f(ctx, g, sess, b)
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
