package llb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/moby/buildkit/frontend/subrequests/lint"
	"github.com/moby/buildkit/frontend/subrequests/outline"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"
)

// call makes a request of the frontend. One that knows no requests, or not this one, is
// BuildKit's errdefs.UnsupportedFrontendCapError or UnsupportedSubrequestError.
// The target is a stage, "" for the one that is configured.
func (f *foreign) call(ctx context.Context, request, target string) (map[string][]byte, error) {
	// One that knows no requests would build.
	caps := "moby.buildkit.frontend.subrequests"
	if more := f.opts["frontend.caps"]; more != "" {
		caps += "," + more
	}
	more := map[string]string{"requestid": request, "frontend.caps": caps}
	if target != "" {
		more["target"] = target
	}
	res, err := f.solve(ctx, more)
	if err != nil {
		return nil, err
	}
	if len(res.Metadata["result.json"]) == 0 {
		return nil, f.bad(fmt.Errorf("there is no answer to %s", request))
	}
	return res.Metadata, nil
}

// ask has the frontend image say what it knows: stages, what its linter finds, and which
// secrets and SSH agents it is going to ask for.
func (i *Inspection) ask(ctx context.Context, cv *conversion, n *needs, stages func([]string) ([]string, error)) error {
	i.Frontend, i.Lint = cv.foreign.image, &lint.LintResults{}
	for _, p := range cv.platforms() {
		if p != nil {
			i.Platforms = append(i.Platforms, *p)
		} else {
			i.Platforms = append(i.Platforms, cv.ui.BuildPlatforms[0])
		}
	}
	have, err := cv.stageNames(ctx)
	if err != nil {
		return err
	}
	want, err := stages(have)
	if err != nil {
		return err
	}
	for _, name := range append([]string{""}, want...) {
		if err := i.outline(ctx, cv, n, name); err != nil {
			return err
		}
	}
	answer, err := cv.foreign.call(ctx, lint.SubrequestLintDefinition.Name, "")
	if err != nil {
		i.Unlinted = err
		return nil
	}
	if err := json.Unmarshal(answer["result.json"], i.Lint); err != nil {
		return cv.foreign.bad(err)
	}
	return nil
}

// outline looks for what is missing of what the frontend image says of a stage. BuildKit's
// own convert the stage to say it, so an error may be the Dockerfile's.
func (i *Inspection) outline(ctx context.Context, cv *conversion, n *needs, name string) error {
	answer, err := cv.foreign.call(ctx, outline.SubrequestsOutlineDefinition.Name, name)
	var (
		noRequests *errdefs.UnsupportedFrontendCapError
		noOutline  *errdefs.UnsupportedSubrequestError
		told       outline.Outline
	)
	switch {
	case errors.As(err, &noRequests), errors.As(err, &noOutline):
		i.Untold = err
		return nil
	case err != nil:
		if ctx.Err() == nil && i.Err == nil {
			i.Err = err
		}
		return nil
	}
	if err := json.Unmarshal(answer["result.json"], &told); err != nil {
		return cv.foreign.bad(err)
	}
	n.stage, n.target = name, i.Platforms[0]
	for _, s := range told.Secrets {
		n.secret(ctx, s.Name, !s.Required, cv.toldAt(told.Sources, s.Location))
	}
	for _, s := range told.SSH {
		n.ssh(ctx, s.Name, !s.Required, cv.toldAt(told.Sources, s.Location))
	}
	return nil
}

// toldAt is a place that a frontend image names; nil if there is none.
func (cv *conversion) toldAt(sources [][]byte, at *pb.Location) *errdefs.Source {
	index := int(at.GetSourceIndex())
	if index < 0 || index >= len(sources) || len(at.GetRanges()) == 0 {
		return nil
	}
	return &errdefs.Source{
		Info:   &pb.SourceInfo{Filename: cv.src.Filename, Language: "Dockerfile", Data: sources[index]},
		Ranges: at.Ranges,
	}
}
