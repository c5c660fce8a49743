package llb

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/containerd/platforms"
	bkllb "github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	"github.com/moby/buildkit/frontend/dockerui"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
)

// stageInputs is a gateway whose build was given stages of its own Dockerfile, and
// others, as frontend inputs, which is how the frontend contract has a build's result in
// another one.
type stageInputs struct {
	gateway.Client
	opts   map[string]string
	states map[string]bkllb.State
}

// BuildOpts implements gateway.Client.
func (c *stageInputs) BuildOpts() gateway.BuildOpts {
	out := c.Client.BuildOpts()
	out.Opts = maps.Clone(out.Opts)
	maps.Copy(out.Opts, c.opts)
	return out
}

// Inputs implements gateway.Client.
func (c *stageInputs) Inputs(context.Context) (map[string]bkllb.State, error) { return c.states, nil }

// withInputs is c with the named contexts that the frontend contract has no words for:
// stages, and git repositories by SSH. Stages are converted without those contexts
// that are stages, so one cannot lead to another.
func withInputs(ctx context.Context, c gateway.Client, in *inputs) (gateway.Client, error) {
	if len(in.stages)+len(in.gits) == 0 {
		return c, nil
	}
	out := &stageInputs{Client: c, opts: map[string]string{}, states: map[string]bkllb.State{}}
	for name, url := range in.gits {
		st, _, err := dockerui.DetectGitContext(url, nil)
		if err != nil {
			return nil, fmt.Errorf("reading named context %q: %w", name, err)
		}
		out.states[name], out.opts["context:"+name] = *st, "input:"+name
	}
	if len(in.stages) == 0 {
		return out, nil
	}
	cv, err := openConversion(ctx, out)
	if err != nil {
		return nil, err
	}
	for name, stage := range in.stages {
		stages, err := cv.stages(ctx, stage, nil)
		if err != nil {
			return nil, fmt.Errorf("converting stage %q for named context %q: %w", stage, name, err)
		}
		for i, st := range stages {
			if err := out.add(name+"::"+platforms.FormatAll(st.Platform), st); err != nil {
				return nil, err
			}
			if i == 0 { // a platform that is none of the targets
				if err := out.add(name, st); err != nil {
					return nil, err
				}
			}
		}
	}
	return out, nil
}

func (c *stageInputs) add(name string, st *Stage) error {
	state := bkllb.Scratch()
	if len(st.def.Def) > 0 {
		op, err := bkllb.NewDefinitionOp(st.def.ToPB())
		if err != nil {
			return fmt.Errorf("reading LLB of stage %q: %w", st.Name, err)
		}
		state = bkllb.NewState(op)
	}
	config, err := json.Marshal(st.Image)
	if err != nil {
		return fmt.Errorf("writing the configuration of stage %q: %w", st.Name, err)
	}
	meta, err := json.Marshal(map[string][]byte{exptypes.ExporterImageConfigKey: config})
	if err != nil {
		return fmt.Errorf("writing the configuration of stage %q: %w", st.Name, err)
	}
	c.states[name] = state
	c.opts["context:"+name] = "input:" + name
	c.opts["input-metadata:"+name] = string(meta)
	return nil
}
