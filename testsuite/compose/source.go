package compose

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/distribution/reference"

	"github.com/seatrial/seatrial/testsuite"
)

// builtImage is the name of the image under test in files for tutum/builder.
const builtImage = "this"

// source is where a service runs.
func (m *mapper) source(s *types.ServiceConfig) (testsuite.Source, error) {
	if s.Build != nil {
		return m.build(s)
	}
	if m.underTest(s.Image) {
		return testsuite.Source{}, nil
	}
	if other, ok := m.built[normal(s.Image)]; ok {
		return m.build(&other)
	}
	if _, err := reference.ParseNormalizedNamed(s.Image); err != nil {
		return testsuite.Source{}, m.errorf(s, "an image looks like postgres:16 or registry.example/team/app:1", "%q is no image: %w", s.Image, err)("image")
	}
	return testsuite.Source{Image: s.Image}, nil
}

func (m *mapper) underTest(image string) bool {
	return image == builtImage || slices.ContainsFunc(m.opt.Names, func(n string) bool { return normal(n) == normal(image) })
}

// normal is a reference with all its parts.
func normal(image string) string {
	ref, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return image
	}
	return reference.TagNameOnly(ref).String()
}

// build tells the image under test, and the stages of its Dockerfile, from images that
// have to be built in addition.
func (m *mapper) build(s *types.ServiceConfig) (testsuite.Source, error) {
	b := s.Build
	none := testsuite.Source{}
	made := &testsuite.Build{Context: b.Context, Inline: b.DockerfileInline, Target: b.Target, Args: arguments(b)}
	local := filepath.IsAbs(b.Context)
	switch {
	case made.Inline != "":
	case !local || filepath.IsAbs(b.Dockerfile):
		made.Dockerfile = b.Dockerfile
	default:
		made.Dockerfile = filepath.Join(b.Context, b.Dockerfile)
	}
	own := m.own(made)
	if err := m.refuseBuild(s, own); err != nil {
		return none, err
	}
	if own {
		if b.Target == "" || b.Target == m.opt.Target {
			return none, nil
		}
		return testsuite.Source{Stage: b.Target}, nil
	}
	if local {
		if info, err := os.Stat(b.Context); err != nil || !info.IsDir() {
			return none, m.errorf(s, "it is relative to the Compose file", "the build context %s is not a directory", m.shown(b.Context))("build", "context")
		}
	}
	if local && made.Inline == "" {
		if _, err := os.Stat(made.Dockerfile); err != nil {
			return none, m.errorf(s, "it is relative to the build's context", "there is no Dockerfile %s", m.shown(made.Dockerfile))("build", "dockerfile")
		}
	}
	return testsuite.Source{Build: m.once(made)}, nil
}

// own tells a build with the project's context, Dockerfile and arguments.
func (m *mapper) own(b *testsuite.Build) bool {
	for k, v := range b.Args {
		if have, ok := m.opt.BuildArgs[k]; !ok || have != v {
			return false
		}
	}
	if m.opt.ContextDir == "" { // what is beside the file is what was built
		abs, err := filepath.Abs(filepath.Dir(m.doc.file))
		return err == nil && b.Inline == "" && samePath(b.Context, abs) && samePath(b.Dockerfile, filepath.Join(abs, "Dockerfile"))
	}
	return b.Inline == "" && samePath(b.Context, m.opt.ContextDir) && samePath(b.Dockerfile, m.opt.Dockerfile)
}

func samePath(a, b string) bool { return resolved(a) == resolved(b) }

// resolved is a path without symbolic links, as far as it is there.
func resolved(path string) string {
	if out, err := filepath.EvalSymlinks(path); err == nil {
		return out
	}
	return filepath.Clean(path)
}

func arguments(b *types.BuildConfig) map[string]string {
	if len(b.Args) == 0 {
		return nil
	}
	out := map[string]string{}
	for k, v := range b.Args {
		if v != nil {
			out[k] = *v
		}
	}
	return out
}

// once has services with the same build share it.
func (m *mapper) once(b *testsuite.Build) *testsuite.Build {
	key, err := json.Marshal(b) // maps are sorted
	if have := m.builds[string(key)]; err == nil && have != nil {
		return have
	}
	m.builds[string(key)] = b
	m.out.Builds = append(m.out.Builds, b)
	return b
}

func (m *mapper) shown(path string) string { return shown(m.doc.file, path) }

// shown is a path as the file's author would write it.
func shown(file, path string) string {
	abs, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(abs, path); err == nil && len(rel) < len(path) {
		return rel
	}
	return path
}
