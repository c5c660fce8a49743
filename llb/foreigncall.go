package llb

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/moby/buildkit/frontend/subrequests/lint"
)

// call makes a request of the frontend. One that knows no requests, or not this one, is
// BuildKit's errdefs.UnsupportedFrontendCapError or UnsupportedSubrequestError.
func (f *foreign) call(ctx context.Context, request string) (map[string][]byte, error) {
	// One that knows no requests would build.
	caps := "moby.buildkit.frontend.subrequests"
	if more := f.opts["frontend.caps"]; more != "" {
		caps += "," + more
	}
	res, err := f.solve(ctx, map[string]string{"requestid": request, "frontend.caps": caps})
	if err != nil {
		return nil, err
	}
	if len(res.Metadata["result.json"]) == 0 {
		return nil, f.bad(fmt.Errorf("there is no answer to %s", request))
	}
	return res.Metadata, nil
}

// ask has the frontend image say what it knows: stages and what its linter finds.
func (i *Inspection) ask(ctx context.Context, cv *conversion, stages func([]string) ([]string, error)) error {
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
	if _, err := stages(have); err != nil {
		return err
	}
	answer, err := cv.foreign.call(ctx, lint.SubrequestLintDefinition.Name)
	if err != nil {
		i.Unlinted = err
		return nil
	}
	if err := json.Unmarshal(answer["result.json"], i.Lint); err != nil {
		return cv.foreign.bad(err)
	}
	return nil
}
