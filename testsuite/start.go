package testsuite

import (
	"context"
	"fmt"
	"net"
	"slices"

	"github.com/containerd/platforms"
	bkllb "github.com/moby/buildkit/client/llb"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seatrial/seatrial/llb"
)

// ImpossibleError says that a test asks for what the images do not allow that it, or a
// service of it, runs in.
type ImpossibleError struct{ msg string }

func (e *ImpossibleError) Error() string { return e.msg }

func impossible(format string, args ...any) error {
	return &ImpossibleError{fmt.Sprintf(format, args...)}
}

// argv is what a container of an image starts: another entrypoint than the image's has
// no use for the image's command.
func (s Start) argv(config dockerspec.DockerOCIImageConfig) []string {
	switch {
	case s.Entrypoint != nil:
		return slices.Concat(s.Entrypoint, s.Args)
	case s.Args != nil:
		return slices.Concat(config.Entrypoint, s.Args)
	default:
		return slices.Concat(config.Entrypoint, config.Cmd)
	}
}

// base is the filesystem that the test runs in.
func (t Test) base(ctx context.Context, trial *llb.Trial, image *llb.Stage) (*llb.Stage, error) {
	st, err := t.From.on(ctx, trial, image, t.Platform)
	if err == nil {
		err = t.From.fits(st)
	}
	if err != nil {
		return nil, fmt.Errorf("test %q: %w", display(t.name()), err)
	}
	return st, nil
}

// on is the stage for a platform, "" for that of the image under test.
func (s Source) on(ctx context.Context, trial *llb.Trial, image *llb.Stage, platform string) (*llb.Stage, error) {
	if platform == "" {
		return s.stage(ctx, trial, image)
	}
	want, err := platforms.Parse(platform)
	if err != nil {
		return nil, fmt.Errorf("platform %q: %w", platform, err)
	}
	want = platforms.Normalize(want)
	if s.Image == "" && s.Build == nil && !platforms.OnlyStrict(want).Match(image.Platform) {
		return nil, impossible("platform %q: the image under test is for %s", platform, platforms.Format(image.Platform))
	}
	other := *image
	other.Platform = want
	return s.stage(ctx, trial, &other)
}

// fits tells an image that is for another platform than asked for, as one is that is for
// one only.
func (s Source) fits(st *llb.Stage) error {
	if s.Image == "" || st.Image.Architecture == "" {
		return nil
	}
	is := platforms.Normalize(ocispecs.Platform{OS: st.Image.OS, Architecture: st.Image.Architecture, Variant: st.Image.Variant})
	if is.OS != st.Platform.OS || is.Architecture != st.Platform.Architecture {
		return impossible("image %q is for %s, not for %s", s.Image, platforms.Format(is), platforms.Format(st.Platform))
	}
	return nil
}

// surroundings are what the test's container is called, and what names it knows.
func (t Test) surroundings(st bkllb.State) (bkllb.State, []bkllb.RunOption) {
	if t.Hostname != "" {
		st = st.Hostname(t.Hostname)
	}
	var opts []bkllb.RunOption
	for _, name := range sortedKeys(t.Hosts) {
		opts = append(opts, bkllb.AddExtraHost(name, net.ParseIP(t.Hosts[name])))
	}
	return st, opts
}
