package testsuite

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/containerd/platforms"
	bkllb "github.com/moby/buildkit/client/llb"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"github.com/seatrial/seatrial/llb"
)

// service is one whose image is known.
type service struct {
	Service
	Spec  serviceSpec
	index int
	stage *llb.Stage
}

// serviceSpec is what a service and its image come to together, as Docker has it.
type serviceSpec struct {
	Argv, Env    []string
	User, Cwd    string
	Hostname     string
	Ports        []int
	Ready        *Probe // nil: it runs
	Signal       syscall.Signal
	Architecture string
}

// names are all that it is reached by.
func (v *service) names() []string { return append([]string{v.Name}, v.Aliases...) }

func (v *service) has(port int) bool { return slices.Contains(v.Spec.Ports, port) }

// planServices finds the images of the services.
func (t Test) planServices(ctx context.Context, trial *llb.Trial, image *llb.Stage) ([]*service, error) {
	var out []*service
	for i, declared := range t.Services {
		v := &service{Service: declared, index: i}
		var err error
		if v.stage, err = declared.From.on(ctx, trial, image, declared.Platform); err == nil {
			err = v.resolve(trial)
		}
		if err != nil {
			return nil, fmt.Errorf("test %q: service %q: %w", display(t.name()), v.Name, err)
		}
		out = append(out, v)
	}
	return out, nil
}

// resolve completes v from its image.
func (v *service) resolve(trial *llb.Trial) error {
	config := v.stage.Image.Config
	if err := v.executable(trial); err != nil {
		return err
	}
	env := slices.Clone(config.Env)
	for _, k := range slices.Sorted(maps.Keys(v.Env)) {
		env = slices.DeleteFunc(env, func(kv string) bool { return strings.HasPrefix(kv, k+"=") })
		env = append(env, k+"="+v.Env[k])
	}
	v.Spec = serviceSpec{
		Argv: v.argv(), Env: env, User: orElse(v.User, config.User), Cwd: orElse(v.Workdir, config.WorkingDir, "/"),
		Hostname: orElse(v.Hostname, v.Name), Ports: v.ports(), Architecture: v.stage.Image.Architecture,
	}
	if len(v.Spec.Argv) == 0 {
		return impossible("%s starts nothing by itself: give it a command", v.From.called())
	}
	if v.Spec.Signal = signalOf(orElse(v.StopSignal, config.StopSignal)); v.Spec.Signal == 0 || v.Spec.Signal == syscall.SIGKILL {
		v.Spec.Signal = syscall.SIGTERM
	}
	v.Spec.Ready = v.readiness()
	return nil
}

// called is what the source is called in messages.
func (s Source) called() string {
	switch {
	case s.Image != "":
		return fmt.Sprintf("image %q", s.Image)
	case s.Stage != "":
		return fmt.Sprintf("stage %q", s.Stage)
	case s.Build != nil:
		return fmt.Sprintf("the image built from %s", llb.RedactURLs(s.Build.Context))
	default:
		return "the image under test"
	}
}

// executable tells an image that is for another platform than asked for, as one is that
// is for one only, from one that the builder can run.
func (v *service) executable(trial *llb.Trial) error {
	if err := v.From.fits(v.stage); err != nil {
		return err
	}
	want := v.stage.Platform
	have := trial.Platforms()
	if !slices.ContainsFunc(have, func(q ocispecs.Platform) bool { return platforms.NewMatcher(q).Match(want) }) {
		return &UnexecutableError{Test: "service " + v.Name, Platform: platforms.Format(want), Have: names(have)}
	}
	return nil
}

// argv is what it starts.
func (v *service) argv() []string {
	if v.Shell != "" {
		return append(slices.Clone(v.stage.Shell()), v.Shell)
	}
	return Start{Entrypoint: v.Entrypoint, Args: v.Args}.argv(v.stage.Image.Config)
}

// ports are all that are known, in order.
func (v *service) ports() []int {
	out := slices.Clone(v.Ports)
	for exposed := range v.stage.Image.Config.ExposedPorts {
		port, protocol, _ := strings.Cut(exposed, "/")
		if n, err := strconv.ParseUint(port, 10, 16); err == nil && n > 0 && (protocol == "" || strings.EqualFold(protocol, "tcp")) {
			out = append(out, int(n))
		}
	}
	if v.Ready != nil && v.Ready.Port != 0 {
		out = append(out, v.Ready.Port)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// signalOf is a signal by name or number, 0 if there is none.
func signalOf(name string) syscall.Signal {
	if n, err := strconv.Atoi(name); err == nil && n > 0 && n < 65 {
		return syscall.Signal(n)
	}
	name = strings.ToUpper(name)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	return unix.SignalNum(name)
}

func orElse(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// servicesKey is what of the services their filesystems do not tell.
func servicesKey(services []*service) (string, error) {
	if len(services) == 0 {
		return "", nil
	}
	type declared struct {
		Service Service
		Spec    serviceSpec
	}
	var all []declared
	for _, v := range services {
		all = append(all, declared{v.Service.anywhere(), v.Spec})
	}
	dt, err := json.Marshal(all)
	if err != nil {
		return "", fmt.Errorf("encoding the services: %w", err)
	}
	return digest.FromBytes(dt).String(), nil
}

// anywhere is v without the places on this machine where its files are built from.
func (v Service) anywhere() Service {
	v.From.Build, v.Mounts = nil, slices.Clone(v.Mounts)
	for i := range v.Mounts {
		v.Mounts[i].From.Build = nil
	}
	return v
}

// serviceMounts have the test depend on what its services are made of: nothing of it
// is for the test, but if it is another, the test has to run again. Not for reading
// only: mountOptions tells why.
func (t Test) serviceMounts(services []*service) (roots []bkllb.RunOption, files []Mount) {
	used := []Source{t.From}
	for _, m := range t.Mounts {
		used = append(used, m.From)
	}
	for _, v := range services {
		for i, m := range v.Mounts {
			if (m.Type == "" || m.Type == MountBind) && m.Text == "" {
				m.Target, m.ReadOnly = fmt.Sprintf("%s/%s/%d", keyDir, v.Name, i), false
				files = append(files, m)
				used = append(used, m.From)
			}
		}
	}
	type root struct {
		from     Source
		platform string
	}
	seen := map[root]bool{{from: t.From}: true}
	for _, v := range services {
		key := root{v.From, v.Platform}
		if seen[key] {
			continue
		}
		seen[key] = true
		st := v.stage.State
		if slices.Contains(used, v.From) {
			st = ownVertex(st, t.name()+" service "+v.Name, v.Name)
		}
		roots = append(roots, bkllb.AddMount(keyDir+"/"+v.Name+"/root", st, bkllb.ForceNoOutput))
	}
	return roots, files
}

// keyDir is where a test could see its services' files.
const keyDir = "/.seatrial/services"
