package testsuite

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	bkllb "github.com/moby/buildkit/client/llb"
	gatewaypb "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/grpcerrors"
	digest "github.com/opencontainers/go-digest"
	"google.golang.org/grpc/codes"

	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/testsuite/helper/protocol"
)

// graph is the test as build steps on top of image.
func (t Test) graph(ctx context.Context, trial *llb.Trial, title string, image *llb.Stage, services []*service, shard []string) (*llb.Graph, error) {
	if t.Structure != nil {
		return trial.StageGraph(image)
	}
	if t.Stage != "" {
		st, err := trial.Stage(t.Stage, image.Platform)
		if err != nil {
			return nil, err
		}
		return trial.StageGraph(st)
	}
	base, err := t.base(ctx, trial, image)
	if err != nil {
		return nil, err
	}
	argv, err := t.argv(base)
	if err != nil {
		return nil, err
	}
	st, hosts := t.surroundings(base.State)
	for _, k := range slices.Sorted(maps.Keys(t.Env)) {
		st = st.AddEnv(k, t.Env[k])
	}
	if t.Workdir != "" {
		st = st.Dir(t.Workdir)
	}
	opts := append(base.RunOptions(t.limits()...), bkllb.Args(argv), bkllb.WithCustomName("[test] "+title))
	if t.User != "" {
		opts = append(opts, bkllb.User(t.User))
	}
	if mode, ok := netModes[t.network()]; ok {
		opts = append(opts, bkllb.Network(mode))
	}
	roots, files := t.serviceMounts(services)
	shared := t.shared()
	own, _ := apart(t.Mounts, shared)
	mounts, err := mountOptions(ctx, trial, image, title, t.From, base.State, slices.Concat(own, files))
	if err != nil {
		return nil, err
	}
	if opts = slices.Concat(opts, hosts, roots, volumesMount(shared)); len(services) > 0 {
		opts = append(opts, bkllb.AddMount(protocol.MeshDir, bkllb.Scratch(), bkllb.AsPersistentCacheDir(meshID, bkllb.CacheMountShared)))
	}
	if len(shard) > 0 {
		list := bkllb.Scratch().File(bkllb.Mkfile("/"+protocol.ShardFile, 0o444, []byte(strings.Join(shard, "\n")+"\n")),
			bkllb.WithCustomName("[test] files of "+title))
		opts = append(opts, bkllb.AddMount(protocol.ShardDir, list, bkllb.ForceNoOutput))
	}
	return trial.CommandGraph(ctx, st.Run(append(opts, mounts...)...).Root())
}

var netModes = map[string]pb.NetMode{NetworkDefault: pb.NetMode_UNSET, NetworkNone: pb.NetMode_NONE, NetworkHost: pb.NetMode_HOST}

// network is what the test has if it does not say: beside services, they are enough.
func (t Test) network() string {
	if t.Network == "" && len(t.Services) > 0 {
		return NetworkNone
	}
	return t.Network
}

// limits change those that the build has for all commands.
func (t Test) limits() []func(*bkllb.LinuxResources) {
	var out []func(*bkllb.LinuxResources)
	if t.Memory > 0 {
		out = append(out, func(r *bkllb.LinuxResources) { r.Memory, r.MemorySwap = t.Memory, t.Memory })
	}
	if t.CPUs > 0 {
		const period = 100_000 // µs, the kernel's default
		out = append(out, func(r *bkllb.LinuxResources) { r.CPUPeriod, r.CPUQuota = period, int64(t.CPUs*period) })
	}
	return out
}

// stage is where to find a filesystem, with its configuration. image is the built one.
func (s Source) stage(ctx context.Context, trial *llb.Trial, image *llb.Stage) (*llb.Stage, error) {
	switch {
	case s.Stage != "":
		return trial.Stage(s.Stage, image.Platform)
	case s.Image != "":
		return trial.Other(ctx, s.Image, image.Platform)
	case s.Build != nil:
		return trial.Beside(ctx, llb.Beside(*s.Build), image.Platform)
	case s.Context:
		return nil, errors.New("no command can run in the build context: it is no root filesystem")
	default:
		return image, nil
	}
}

// state is the filesystem alone.
func (s Source) state(ctx context.Context, trial *llb.Trial, image *llb.Stage) (bkllb.State, error) {
	if s.Context {
		return trial.Context()
	}
	st, err := s.stage(ctx, trial, image)
	if err != nil {
		return bkllb.State{}, err
	}
	return st.State, nil
}

// mountOptions are the mounts of something called title that runs in root.
func mountOptions(ctx context.Context, trial *llb.Trial, image *llb.Stage, title string, of Source, root bkllb.State, mounts []Mount) ([]bkllb.RunOption, error) {
	var opts []bkllb.RunOption
	used := []Source{of}
	for i, m := range mounts {
		if !m.ofSteps() {
			opts = append(opts, m.option())
			continue
		}
		st, from, err := m.shown(ctx, trial, image, root)
		if err != nil {
			return nil, fmt.Errorf("mounting %s: %w", m.Target, err)
		}
		mount := []bkllb.MountOption{bkllb.ForceNoOutput}
		if m.ReadOnly {
			mount = []bkllb.MountOption{bkllb.Readonly}
		}
		if m.ReadOnly || slices.Contains(used, m.From) {
			// The daemon gives up its own error if two mounts of a step that
			// fails come from one result, or two steps that fail have mounted
			// one for reading (v0.34). So each has one of its own.
			st = ownVertex(st, fmt.Sprintf("%s %d", title, i), m.Target)
		}
		used = append(used, m.From)
		if from != "/" {
			mount = append(mount, bkllb.SourcePath(from))
		}
		opts = append(opts, bkllb.AddMount(m.Target, st, mount...))
	}
	return opts, nil
}

// ownVertex is a filesystem as the result of a step that is nobody else's.
func ownVertex(st bkllb.State, whose, target string) bkllb.State {
	own := digest.FromString(whose).Encoded()[:12]
	return st.File(bkllb.Mkdir("/.seatrial-"+own, 0o755), bkllb.WithCustomName("[test] mount "+target))
}

// copied is a part of a filesystem, by its content, and where it lies then.
func copied(st bkllb.State, from string) (bkllb.State, string) {
	to := path.Join("/context", from)
	return bkllb.Scratch().File(bkllb.Copy(st, from, to, &bkllb.CopyInfo{CreateDestPath: true, CopyDirContentsOnly: true}),
		bkllb.WithCustomName("[test] copy "+strings.TrimPrefix(from, "/"))), to
}

// option is a mount that is no filesystem of a step.
func (m Mount) option() bkllb.RunOption {
	switch m.Type {
	case MountCache:
		id := m.ID
		if id == "" {
			id = m.Target
		}
		return bkllb.AddMount(m.Target, bkllb.Scratch(), bkllb.AsPersistentCacheDir(id, bkllb.CacheMountShared))
	case MountTmpfs:
		var opts []bkllb.TmpfsOption
		if m.Size > 0 {
			opts = append(opts, bkllb.TmpfsSize(m.Size))
		}
		return bkllb.AddMount(m.Target, bkllb.Scratch(), bkllb.Tmpfs(opts...))
	case MountSSH:
		opts := []bkllb.SSHOption{bkllb.SSHID(m.ID)}
		if m.Target != "" {
			opts = append(opts, bkllb.SSHSocketTarget(m.Target))
		}
		if m.Optional {
			opts = append(opts, bkllb.SSHOptional)
		}
		return bkllb.AddSSHSocket(opts...)
	default: // MountSecret
		opts := []bkllb.SecretOption{bkllb.SecretID(m.ID)}
		if m.Optional {
			opts = append(opts, bkllb.SecretOptional)
		}
		if m.Env != "" {
			return bkllb.AddSecretWithDest(m.ID, nil, append(opts, bkllb.SecretAsEnvName(m.Env))...)
		}
		target := m.Target
		if target == "" {
			target = "/run/secrets/" + m.ID
		}
		return bkllb.AddSecret(target, append(opts, bkllb.SecretFileOpt(0, 0, 0o444))...)
	}
}

// argv is the command, through the image's shell as the shell form of RUN has it, by
// itself, or with the image's entrypoint. A container that starts nothing is an error.
func (t Test) argv(image *llb.Stage) ([]string, error) {
	switch {
	case t.Start != nil:
		argv := t.Start.argv(image.Image.Config)
		if len(argv) == 0 {
			return nil, impossible("test %q: %s starts nothing by itself: give it a command", display(t.name()), t.From.called())
		}
		return argv, nil
	case len(t.Args) > 0:
		return t.Args, nil
	default:
		return append(slices.Clone(image.Shell()), t.Command), nil
	}
}

// contextPaths are what the tests mount of the build context.
func (s *Suite) contextPaths() []string {
	var out []string
	add := func(mounts []Mount) {
		for _, m := range mounts {
			if m.From.Context && m.Text == "" {
				out = append(out, path.Clean("/" + m.Path)[1:])
			}
		}
	}
	for _, t := range s.Tests {
		add(t.Mounts)
		for _, service := range t.Services {
			add(service.Mounts)
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	if slices.Contains(out, "") {
		return []string{"."}
	}
	return out
}

// prepare makes the graphs of all tests on all platforms.
func (s *Suite) prepare(ctx context.Context, t *llb.Trial) ([]*run, error) {
	var runs []*run
	dirs := map[string]bool{}
	for _, test := range s.Tests {
		test = test.orElse(s.Default)
		for _, image := range s.images(t) {
			var sp *split
			if len(test.Split) > 0 {
				sp = &split{test: test, image: image}
			}
			for shard := range max(1, test.Shards) {
				r := &run{test: test, name: test.name(), image: image, split: sp}
				if t.Index {
					r.platform = platforms.Format(image.Platform)
				}
				if test.Shards > 1 {
					r.shard = shard + 1
				}
				r.dir = dirName(r.title(), dirs)
				if err := s.build(ctx, t, r); err != nil {
					return nil, err
				}
				runs = append(runs, r)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs, s.skipped = runs, s.untested(t)
	return runs, nil
}

// build makes the graph of a run, with the helper.
func (s *Suite) build(ctx context.Context, t *llb.Trial, r *run) error {
	var err error
	if r.services, err = r.test.planServices(ctx, t, r.image); err != nil {
		return err
	}
	if r.graph, err = r.test.graph(ctx, t, r.title(), r.image, r.services, r.files); err != nil {
		return err
	}
	if err := executable(t, r); err != nil {
		return err
	}
	if r.shard > 0 {
		env := []string{fmt.Sprintf("SHARD_INDEX=%d", r.shard-1), fmt.Sprintf("SHARD_TOTAL=%d", r.test.Shards)}
		if r.split != nil {
			env = append(env, "SHARD_FILES="+path.Join(protocol.ShardDir, protocol.ShardFile))
		}
		if r.graph, err = t.SetEnv(r.graph, env...); err != nil {
			return err
		}
	}
	r.variant = s.shelf.current()
	w, err := s.wrapper(t, r)
	if err != nil {
		return err
	}
	r.graph, err = t.Wrap(ctx, r.graph, w)
	return err
}

// display keeps a long command from filling the terminal.
func display(name string) string {
	const most = 60
	if r := []rune(name); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return name
}

// title names a test on a platform, if there may be others.
func title(name, platform string) string {
	if platform == "" {
		return display(name)
	}
	return display(name) + " (" + platform + ")"
}

// dirName is a name for the directory of a test's reports that was not used before.
func dirName(title string, used map[string]bool) string {
	const most = 60
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '.':
			return r
		}
		return '-'
	}, title)
	for strings.Contains(clean, "--") {
		clean = strings.ReplaceAll(clean, "--", "-")
	}
	clean = strings.Trim(clean[:min(len(clean), most)], "-.")
	if clean == "" {
		clean = "test"
	}
	name := clean
	for i := 2; used[strings.ToLower(name)]; i++ {
		name = fmt.Sprintf("%s-%d", clean, i)
	}
	used[strings.ToLower(name)] = true
	return name
}

// isTestFailure tells a test that ran and failed from an image that could not be
// built and a builder that was lost.
func isTestFailure(t *llb.Trial, err error) bool {
	var report *ReportError
	var flaky *FlakyError
	var structure *StructureError
	var service *ServiceError
	var split *SplitError
	if errors.As(err, &split) || errors.As(err, &report) || errors.As(err, &flaky) || errors.As(err, &structure) || errors.As(err, &service) {
		return true
	}
	// Nothing has run: the builder's disk was full before.
	if exitCode(err) < 0 && grpcerrors.Code(err) == codes.ResourceExhausted {
		return false
	}
	// A step of the image can be what a step of the test failed of.
	of := false
	for vertex := (*errdefs.VertexError)(nil); errors.As(err, &vertex); err = vertex.Unwrap() {
		if t.OfImage(digest.Digest(vertex.Digest)) {
			return false
		}
		of = true
	}
	return of
}

// exitCode is the exit code of the command that err tells of, -1 if it tells of
// none.
func exitCode(err error) int {
	var exit *gatewaypb.ExitError
	if errors.As(err, &exit) && exit.ExitCode != gatewaypb.UnknownExitStatus {
		return int(exit.ExitCode)
	}
	return -1
}
