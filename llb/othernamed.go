package llb

import (
	"context"
	"fmt"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/frontend/dockerui"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// replaced is the stage that a named context of the build puts in the place of an image,
// nil if none does.
func (t *Trial) replaced(ctx context.Context, ref string, p ocispecs.Platform) (*Stage, error) {
	client := &besideClient{stageInputs: stageInputs{Client: t.bases.client(t.Client), opts: t.conversion.ui.BuildOpts().Opts}}
	if in, ok := t.conversion.gateway.(*stageInputs); ok {
		client.states = in.states
	}
	ui, err := dockerui.NewClient(client)
	if err != nil {
		return nil, err
	}
	named, err := ui.NamedContext(ref, dockerui.ContextOpt{Platform: &p, ResolveMode: ui.ImageResolveMode.String()})
	if err != nil || named == nil {
		return nil, err
	}
	st, image, err := named.Load(ctx)
	if err != nil {
		return nil, fmt.Errorf("named context %q: %w", ref, err)
	}
	out := t.beside(ref, p)
	out.State = *st
	if image != nil {
		out.Image = *image
	}
	return out, nil
}

// beside is a stage that has no part in the image.
func (t *Trial) beside(name string, p ocispecs.Platform) *Stage {
	return &Stage{Name: name, Platform: platforms.Normalize(p), config: &t.conversion.ui.Config, limits: t.conversion.limits()}
}
