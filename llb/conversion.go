package llb

import (
	"context"
	"fmt"
	"maps"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client"
	bkllb "github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerui"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// conversion is a Dockerfile that was read and can be turned into LLB, one
// stage and platform at a time.
type conversion struct {
	gateway gateway.Client
	ui      *dockerui.Client
	src     *dockerui.Source
	warned  func(*client.VertexWarning) // is told warnings before the daemon is; may be nil
	foreign *foreign                    // nil: it is our own converter that turns it
}

// openConversion reads the Dockerfile under the frontend contract: options from
// c, files from the locals "context" and "dockerfile".
func openConversion(ctx context.Context, c gateway.Client) (*conversion, error) {
	ui, err := dockerui.NewClient(c)
	if err != nil {
		return nil, err
	}
	src, err := ui.ReadEntrypoint(ctx, "Dockerfile")
	if err != nil {
		return nil, err
	}
	return &conversion{gateway: c, ui: ui, src: src}, nil
}

// Stage is one stage of the Dockerfile for one platform, as LLB.
type Stage struct {
	// Name is the stage's name; "" for the default target.
	Name string
	// Platform is what it is built for.
	Platform ocispecs.Platform
	// State is its filesystem, with the environment, working directory and
	// user that a RUN instruction at its end would have.
	State bkllb.State
	// Image is its configuration.
	Image dockerspec.DockerOCIImage

	limits      *bkllb.LinuxResources
	result      *dockerfile2llb.Result // of our own converter
	returned    *returned              // or of a frontend image
	config      *dockerui.Config
	def         *bkllb.Definition
	united      bool // def was changed to load the context of all stages
	ignoreCache bool // some of it is built anew
}

// RunOptions are what the build's options say of every RUN instruction: hosts,
// limits, and the cache. A command that is tried on the stage gets the same, but for
// what limit changes.
func (s *Stage) RunOptions(limit ...func(*bkllb.LinuxResources)) []bkllb.RunOption {
	var opts []bkllb.RunOption
	for _, h := range s.config.ExtraHosts {
		opts = append(opts, bkllb.AddExtraHost(h.Host, h.IP))
	}
	for _, u := range s.config.Ulimits {
		opts = append(opts, bkllb.AddUlimit(bkllb.UlimitName(u.Name), u.Soft, u.Hard))
	}
	if s.config.ShmSize > 0 {
		opts = append(opts, bkllb.AddMount("/dev/shm", bkllb.Scratch(), bkllb.Tmpfs(bkllb.TmpfsSize(s.config.ShmSize))))
	}
	if s.config.CgroupParent != "" {
		opts = append(opts, bkllb.WithCgroupParent(s.config.CgroupParent))
	}
	if limits := s.limited(limit); limits != nil {
		opts = append(opts, bkllb.WithLinuxResources(*limits))
	}
	if s.ignoreCache {
		// The steps of the image are the same and their result is not: what
		// passed on the result of before says nothing of this one.
		opts = append(opts, bkllb.IgnoreCache)
	}
	return opts
}

func (s *Stage) limited(changes []func(*bkllb.LinuxResources)) *bkllb.LinuxResources {
	if len(changes) == 0 {
		return s.limits
	}
	limits := bkllb.LinuxResources{}
	if s.limits != nil {
		limits = *s.limits
	}
	for _, change := range changes {
		change(&limits)
	}
	return &limits
}

// platforms are the targets; one nil stands for the daemon's own.
func (cv *conversion) platforms() []*ocispecs.Platform {
	targets := cv.ui.TargetPlatforms
	if len(targets) == 0 {
		return []*ocispecs.Platform{nil}
	}
	out := make([]*ocispecs.Platform, len(targets))
	for i := range targets {
		out[i] = &targets[i]
	}
	return out
}

// stages converts the stage called name ("" is the configured target) for every
// platform. warn, if not nil, says who is told the lint warnings of each.
func (cv *conversion) stages(ctx context.Context, name string, warn warnings) ([]*Stage, error) {
	if cv.foreign != nil {
		return cv.foreignStages(ctx, name)
	}
	targets := cv.platforms()
	out := make([]*Stage, len(targets))
	eg, ctx := errgroup.WithContext(ctx)
	for i, p := range targets {
		eg.Go(func() error {
			opt := cv.options()
			opt.TargetPlatform = p
			if name != "" {
				opt.Target = name
			}
			if warn != nil {
				opt.Warn = warn(i)
			}
			var err error
			out[i], err = cv.convert(ctx, opt)
			return err
		})
	}
	if err := eg.Wait(); err != nil {
		return nil, err
	}
	return out, nil
}

func (cv *conversion) options() dockerfile2llb.ConvertOpt {
	opt := dockerfile2llb.ConvertOpt{
		Config:       cv.ui.Config,
		Client:       cv.ui,
		SourceMap:    cv.src.SourceMap,
		MetaResolver: cv.gateway,
	}
	opt.BuildArgs = maps.Clone(opt.BuildArgs) // the converter writes into it
	return opt
}

func (cv *conversion) convert(ctx context.Context, opt dockerfile2llb.ConvertOpt) (*Stage, error) {
	res, err := dockerfile2llb.Dockerfile2LLB(ctx, cv.src.Data, opt)
	if err != nil {
		return nil, cv.locate(err)
	}
	def, err := res.State.Marshal(ctx)
	if err != nil {
		return nil, fmt.Errorf("marshalling stage %q: %w", opt.Target, err)
	}
	p := platforms.DefaultSpec()
	if len(cv.ui.BuildPlatforms) > 0 {
		p = cv.ui.BuildPlatforms[0]
	}
	if opt.TargetPlatform != nil {
		p = *opt.TargetPlatform
	}
	return &Stage{
		Name: opt.Target, Platform: platforms.Normalize(p),
		State: res.State, Image: *res.Image, limits: cv.limits(),
		result: res, config: &cv.ui.Config, def: def, ignoreCache: res.IsIgnoreCache,
	}, nil
}

// locate gives err the Dockerfile lines that it is about.
func (cv *conversion) locate(err error) error {
	return withLocation(err, sourceInfo(cv.src.SourceMap))
}

func sourceInfo(sm *bkllb.SourceMap) *pb.SourceInfo {
	return &pb.SourceInfo{
		Data: sm.Data, Filename: sm.Filename, Language: sm.Language,
		Definition: sm.Definition.ToPB(),
	}
}

// build solves stages, the image for each platform, and makes of them the
// frontend's result.
func (cv *conversion) build(ctx context.Context, stages []*Stage) (*dockerui.ResultBuilder, error) {
	return cv.ui.Build(ctx, func(ctx context.Context, _ *ocispecs.Platform, i int) (*dockerui.BuildResult, error) {
		st := stages[i]
		res, err := cv.gateway.Solve(ctx, gateway.SolveRequest{Definition: st.def.ToPB(), CacheImports: cv.ui.CacheImports})
		if err != nil {
			return nil, err
		}
		ref, err := res.SingleRef()
		if err != nil {
			return nil, err
		}
		return &dockerui.BuildResult{Reference: ref, Image: st.result.Image, BaseImage: st.result.BaseImage, Epoch: st.result.Epoch}, nil
	})
}
