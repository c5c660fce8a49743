package testsuite

import (
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/seatrial/seatrial/llb"
)

// UnexecutableError says that the builder has no way, native or emulated, to run
// the commands of a test.
type UnexecutableError struct {
	Test     string
	Platform string   // of a command
	Have     []string // the builder's
}

func (e *UnexecutableError) Error() string {
	return fmt.Sprintf("the builder cannot run test %q on %s, only on %s", display(e.Test), e.Platform, strings.Join(e.Have, ", "))
}

// images are the image for each platform that is to be tested.
func (s *Suite) images(t *llb.Trial) []*llb.Stage {
	if len(s.Platforms) == 0 {
		return t.Images
	}
	return slices.DeleteFunc(slices.Clone(t.Images), func(image *llb.Stage) bool { return !s.Tested(image.Platform) })
}

// untested are the image's platforms that Platforms leaves out.
func (s *Suite) untested(t *llb.Trial) []string {
	var out []string
	for _, image := range t.Images {
		if !s.Tested(image.Platform) {
			out = append(out, platforms.Format(image.Platform))
		}
	}
	return out
}

// Tested tells whether the image is to be tested on a platform.
func (s *Suite) Tested(p ocispecs.Platform) bool {
	return len(s.Platforms) == 0 || slices.ContainsFunc(s.Platforms, func(q ocispecs.Platform) bool {
		return platforms.OnlyStrict(q).Match(p)
	})
}

// executable looks at the commands of the test alone: a stage may well run on the
// builder's own platform and test what was compiled for another.
func executable(t *llb.Trial, r *run) error {
	have := t.Platforms()
	for _, p := range r.graph.Platforms {
		if !slices.ContainsFunc(have, func(q ocispecs.Platform) bool { return platforms.NewMatcher(q).Match(p) }) {
			return &UnexecutableError{Test: r.test.name(), Platform: platforms.Format(p), Have: names(have)}
		}
	}
	return nil
}

func names(list []ocispecs.Platform) []string {
	out := make([]string, len(list))
	for i, p := range list {
		out[i] = platforms.Format(p)
	}
	return out
}
