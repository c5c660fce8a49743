package testsuite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/containerd/platforms"
	bkllb "github.com/moby/buildkit/client/llb"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/system"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	fstypes "github.com/tonistiigi/fsutil/types"

	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/testsuite/junit"
	"github.com/seatrial/seatrial/testsuite/structure"
)

// attemptStructure tries structure tests. Those without commands are done before it
// would be known that they need not be.
func (s *Suite) attemptStructure(ctx context.Context, t *llb.Trial, r *run) error {
	cfg, tr := r.test.Structure, &trace{code: -1, started: time.Now()}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		r.trace = tr
	}()
	mark := r.mark(t, tr)
	if len(cfg.Commands) > 0 && !s.NoCache {
		known, err := t.Passed(ctx, mark)
		if err != nil {
			return err
		}
		if known {
			tr.cached = true
			return nil
		}
	}
	target, err := structureOf(ctx, t, r.image, cfg)
	if err != nil {
		return err
	}
	timed, cancel := s.timed(ctx, r)
	defer cancel()
	results := structure.Run(timed, cfg, target)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	tr.took = time.Since(tr.started)
	tr.report = structureReport(cfg.Name, results)
	if failed, total := tr.failedCases(); failed > 0 {
		tr.timedOut = timed.Err() != nil
		return &StructureError{Failed: failed, Total: total}
	}
	t.Remember(mark)
	return nil
}

// StructureError says that structure tests failed.
type StructureError struct{ Failed, Total int }

func (e *StructureError) Error() string { return fmt.Sprintf("%d failed of %d", e.Failed, e.Total) }

// structureOf is the image for one platform, built, for structure tests. Its error is
// that of the image's own build, or an *UnexecutableError if there are commands that
// the builder cannot run.
func structureOf(ctx context.Context, t *llb.Trial, image *llb.Stage, cfg *structure.Config) (*structureTarget, error) {
	if len(cfg.Commands) > 0 {
		if have := t.Platforms(); !slices.ContainsFunc(have, func(q ocispecs.Platform) bool { return platforms.NewMatcher(q).Match(image.Platform) }) {
			return nil, &UnexecutableError{Test: cfg.Name, Platform: platforms.Format(image.Platform), Have: names(have)}
		}
	}
	g, err := t.StageGraph(image)
	if err != nil {
		return nil, err
	}
	root, err := t.Solve(ctx, g)
	if err != nil {
		return nil, err
	}
	return &structureTarget{Files: filesOf(root), trial: t, image: image, root: root}, nil
}

// structureTarget is an image, as structure tests look at it.
type structureTarget struct {
	structure.Files
	trial *llb.Trial
	image *llb.Stage
	root  gateway.Reference
}

func (s *structureTarget) Config() ocispecs.ImageConfig { return s.image.Image.Config.ImageConfig }

// Exec runs the command in a container that is no step of a build: the output of
// those is clipped, and what they get is remembered by the daemon.
func (s *structureTarget) Exec(ctx context.Context, c structure.Command) (structure.Output, error) {
	root, err := s.setUp(ctx, c)
	if err != nil {
		return structure.Output{}, fmt.Errorf("setting up: %w", err)
	}
	config := s.Config()
	c.Env = withPath(c.Env)
	if err := structure.LookPath(ctx, filesOf(root), c.Args[0], config.WorkingDir, c.Env); err != nil {
		return structure.Output{}, err
	}
	user := c.User
	if user == "" {
		user = config.User
	}
	return runContainer(ctx, s.trial.Client, s.container(root), gateway.StartRequest{
		Args: c.Args, Env: c.Env, User: user, Cwd: workdir(config),
	})
}

// setUp runs the commands that come before, as steps that may end as they like. They
// run anew in each build: that one failed must not be remembered.
func (s *structureTarget) setUp(ctx context.Context, c structure.Command) (gateway.Reference, error) {
	root, st := s.root, s.image.State
	env := withPath(c.SetupEnv)
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		if len(c.Setup) > 0 {
			st = st.AddEnv(name, value)
		}
	}
	if c.User != "" {
		st = st.User(c.User)
	}
	for _, args := range c.Setup {
		if err := structure.LookPath(ctx, filesOf(root), args[0], s.Config().WorkingDir, env); err != nil {
			return nil, err
		}
		opts := append(s.image.RunOptions(), bkllb.Args(args), bkllb.ValidExitCodes(anyExitCode()...), bkllb.IgnoreCache,
			bkllb.WithCustomName("[test setup] "+display(strings.Join(args, " "))))
		st = st.Run(opts...).Root()
		g, err := s.trial.StateGraph(ctx, st)
		if err != nil {
			return nil, err
		}
		if root, err = s.trial.Solve(ctx, g); err != nil {
			return nil, err
		}
	}
	return root, nil
}

func (s *structureTarget) container(root gateway.Reference) gateway.NewContainerRequest {
	return gateway.NewContainerRequest{
		Mounts:     []gateway.Mount{{Dest: "/", Ref: root}},
		ExtraHosts: s.image.Hosts(),
		Platform:   pb.PlatformFromSpec(s.image.Platform),
	}
}

func anyExitCode() []int {
	codes := make([]int, 256)
	for i := range codes {
		codes[i] = i
	}
	return codes
}

// withPath adds the PATH that Docker gives to images that have none.
func withPath(env []string) []string {
	if slices.ContainsFunc(env, func(v string) bool { return strings.HasPrefix(v, "PATH=") }) {
		return env
	}
	return append(slices.Clone(env), "PATH="+system.DefaultPathEnvUnix)
}

func workdir(c ocispecs.ImageConfig) string {
	if c.WorkingDir == "" {
		return "/"
	}
	return c.WorkingDir
}

// filesOf are the files of a solved state, which is nil if it has none.
func filesOf(ref gateway.Reference) structure.Files {
	if ref == nil {
		return noFiles{}
	}
	return ref
}

// noFiles is the image that is FROM scratch alone.
type noFiles struct{}

func (noFiles) ReadDir(context.Context, gateway.ReadDirRequest) ([]*fstypes.Stat, error) {
	return nil, nil
}

func (noFiles) ReadFile(_ context.Context, req gateway.ReadRequest) ([]byte, error) {
	return nil, errors.New(req.Filename + ": the image is empty")
}

func (noFiles) StatFile(context.Context, gateway.StatRequest) (*fstypes.Stat, error) {
	return &fstypes.Stat{Path: "/", Mode: uint32(fs.ModeDir | 0o755)}, nil
}

// structureReport is the results as cases, for what is made of reports. The name is
// that of the file.
func structureReport(name string, results []structure.Result) *junit.Report {
	suite := junit.Suite{Name: name}
	for _, res := range results {
		c := junit.Case{
			Name: res.Name, Class: name, File: name, Time: res.Duration, Status: junit.Passed,
			Stdout: string(res.Stdout), Stderr: string(res.Stderr),
		}
		if !res.Pass {
			c.Status, c.Message = junit.Failed, strings.Join(res.Errors, "\n")
		}
		suite.Cases = append(suite.Cases, c)
	}
	return &junit.Report{Suites: []junit.Suite{suite}}
}
