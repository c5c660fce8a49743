package llb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/distribution/reference"
	bkllb "github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// Other is an image that has no part in the one that is built, as a stage: for tests
// that run in another image, and services. A named context of the build can be in its
// place, as it can in the Dockerfile.
func (t *Trial) Other(ctx context.Context, ref string, p ocispecs.Platform) (*Stage, error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return nil, fmt.Errorf("image %q: %w", ref, err)
	}
	if st, err := t.replaced(ctx, ref, p); st != nil || err != nil {
		return st, err
	}
	full := reference.TagNameOnly(named).String()
	full, dgst, dt, err := t.bases.client(t.Client).ResolveImageConfig(ctx, full, sourceresolver.Opt{
		LogName:  "[internal] load metadata for " + full,
		ImageOpt: &sourceresolver.ResolveImageOpt{Platform: &p, ResolveMode: t.conversion.ui.ImageResolveMode.String()},
	})
	if err != nil {
		return nil, fmt.Errorf("image %q: %w", ref, err)
	}
	st := t.beside(ref, p)
	if err := json.Unmarshal(dt, &st.Image); err != nil {
		return nil, fmt.Errorf("image %q: reading its configuration: %w", ref, err)
	}
	if named, err = reference.ParseNormalizedNamed(full); err != nil {
		return nil, fmt.Errorf("image %q: %w", ref, err)
	}
	if _, digested := named.(reference.Digested); !digested && dgst != "" {
		if named, err = reference.WithDigest(named, dgst); err != nil {
			return nil, fmt.Errorf("image %q: %w", ref, err)
		}
	}
	image := bkllb.Image(named.String(), bkllb.Platform(p), bkllb.WithCustomName("[test] image "+ref))
	if st.State, err = image.WithImageConfig(dt); err != nil {
		return nil, fmt.Errorf("image %q: reading its configuration: %w", ref, err)
	}
	return st, nil
}

// ErrNoContext says that Phases.ContextPaths did not ask for the build context.
var ErrNoContext = errors.New("the build context was not asked for")

// Context is the build context, with what Phases.ContextPaths asked for.
func (t *Trial) Context() (bkllb.State, error) {
	if t.context == nil {
		return bkllb.State{}, ErrNoContext
	}
	return *t.context, nil
}

// loadContext has the trial load paths of the context together with those that the
// Dockerfile's stages load.
func (t *Trial) loadContext(ctx context.Context, cv *conversion, paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	st, err := cv.ui.MainContext(ctx, bkllb.FollowPaths(paths))
	if err != nil {
		return fmt.Errorf("loading the build context: %w", err)
	}
	def, err := st.Marshal(ctx)
	if err != nil {
		return fmt.Errorf("marshalling LLB: %w", err)
	}
	t.context = st
	return t.union.add(def)
}

// Shell is what runs a command of the image in shell form.
func (s *Stage) Shell() []string { return Shell(s.Image) }

// Shell is what runs a command of an image in shell form.
func Shell(image dockerspec.DockerOCIImage) []string {
	if len(image.Config.Shell) > 0 {
		return image.Config.Shell
	}
	return []string{"/bin/sh", "-c"}
}
