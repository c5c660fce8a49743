package llb

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/containerd/platforms"
	bkllb "github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
)

// returned is what a frontend image returned for a stage.
type returned struct {
	all      *gateway.Result // for all platforms
	platform string          // its key for this one
}

// foreignStages is the stage called name ("" is the configured target) for every
// platform, as the frontend image makes it.
func (cv *conversion) foreignStages(ctx context.Context, name string) ([]*Stage, error) {
	more := map[string]string{}
	if name != "" {
		more["target"] = name
	}
	res, err := cv.foreign.solve(ctx, more)
	if err != nil {
		return nil, err
	}
	ps, err := exptypes.ParsePlatforms(res.Metadata)
	if err != nil {
		return nil, cv.foreign.bad(err)
	}
	out := make([]*Stage, len(ps.Platforms))
	for i, p := range ps.Platforms {
		if out[i], err = cv.foreignStage(ctx, res, p); err != nil {
			return nil, cv.foreign.bad(err)
		}
		out[i].Name = name
	}
	return out, nil
}

func (cv *conversion) foreignStage(ctx context.Context, res *gateway.Result, p exptypes.Platform) (*Stage, error) {
	st := &Stage{
		Platform: platforms.Normalize(p.Platform), State: bkllb.Scratch(),
		returned: &returned{all: res, platform: p.ID}, config: &cv.ui.Config, limits: cv.limits(),
	}
	var err error
	if ref, _ := res.FindRef(p.ID); ref != nil { // nil is scratch
		if st.State, err = ref.ToState(); err != nil {
			return nil, err
		}
	}
	if st.def, err = st.State.Marshal(ctx); err != nil {
		return nil, err
	}
	for _, meta := range st.def.Metadata {
		st.ignoreCache = st.ignoreCache || meta.IgnoreCache
	}
	config := exptypes.ParseKey(res.Metadata, exptypes.ExporterImageConfigKey, &p)
	if err := st.configure(config); err != nil {
		return nil, fmt.Errorf("image configuration: %w", err)
	}
	st.State = st.State.Network(cv.ui.NetworkMode)
	return st, cv.foreign.bases.addSources(st.def)
}

// configure gives the state of s what the image's configuration says of RUN.
func (s *Stage) configure(config []byte) error {
	s.State = s.State.Platform(s.Platform)
	if config == nil {
		return nil
	}
	if err := json.Unmarshal(config, &s.Image); err != nil {
		return err
	}
	var err error
	if s.State, err = s.State.WithImageConfig(config); err != nil {
		return err
	}
	s.State = s.State.User(s.Image.Config.User)
	return nil
}

// foreignImage is what the frontend image returned, with the graphs of stages. One
// that has stayed the same is left as it is: the daemon then knows, and attests,
// that it comes from that frontend.
func (cv *conversion) foreignImage(ctx context.Context, stages []*Stage) (*gateway.Result, error) {
	res := stages[0].returned.all.Clone()
	for _, st := range stages {
		if !st.united {
			continue
		}
		r, err := cv.gateway.Solve(ctx, gateway.SolveRequest{Definition: st.def.ToPB(), CacheImports: cv.ui.CacheImports})
		if err != nil {
			return nil, err
		}
		ref, err := r.SingleRef()
		if err != nil {
			return nil, err
		}
		if len(res.Refs) > 0 {
			res.AddRef(st.returned.platform, ref)
		} else {
			res.SetRef(ref)
		}
	}
	return res, nil
}
