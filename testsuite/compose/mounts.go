package compose

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/docker/go-units"

	"github.com/seatrial/seatrial/testsuite"
)

// mounts are a service's, in the order in which Compose documents the keys.
func (m *mapper) mounts(s *types.ServiceConfig) ([]testsuite.Mount, error) {
	var out []testsuite.Mount
	for i, v := range s.Volumes {
		mount, err := m.volume(s, i, v)
		if err != nil {
			return nil, err
		}
		out = append(out, mount)
	}
	for _, t := range s.Tmpfs {
		mount, err := m.tmpfs(s, t)
		if err != nil {
			return nil, err
		}
		out = append(out, mount)
	}
	if s.ShmSize > 0 {
		out = append(out, testsuite.Mount{Type: testsuite.MountTmpfs, Target: "/dev/shm", Size: int64(s.ShmSize)})
	}
	for _, c := range s.Configs {
		mount, err := m.config(s, c)
		if err != nil {
			return nil, err
		}
		out = append(out, mount)
	}
	for _, c := range s.Secrets {
		mount, err := m.secret(s, c)
		if err != nil {
			return nil, err
		}
		out = append(out, mount)
	}
	return out, nil
}

// warnOfSizes is for services: BuildKit drops the size of a gateway container's tmpfs, and
// has no limits for one (v0.34).
func (m *mapper) warnOfSizes(s *types.ServiceConfig) {
	warn := func(target string, keys ...string) {
		n := m.doc.at(append([]string{"services", s.Name}, keys...)...)
		m.out.Warnings = append(m.out.Warnings, Finding{
			File: m.doc.file, Line: n.Line, Column: n.Column,
			Msg: fmt.Sprintf("the size of %s in %s is not honoured: a tmpfs has one in sut alone", target, s.Name),
		})
	}
	for i, v := range s.Volumes {
		if v.Tmpfs != nil && v.Tmpfs.Size > 0 {
			warn(v.Target, "volumes", index(i))
		}
	}
	for _, t := range s.Tmpfs {
		if target, opts, _ := strings.Cut(t, ":"); strings.Contains(opts, "size=") {
			warn(target, "tmpfs", t)
		}
	}
	if s.ShmSize > 0 {
		warn("/dev/shm", "shm_size")
	}
}

func (m *mapper) volume(s *types.ServiceConfig, i int, v types.ServiceVolumeConfig) (testsuite.Mount, error) {
	errorf := func(hint, format string, args ...any) (testsuite.Mount, error) {
		return testsuite.Mount{}, m.errorf(s, hint, format, args...)("volumes", index(i))
	}
	out := testsuite.Mount{Target: v.Target, ReadOnly: v.ReadOnly}
	if !path.IsAbs(v.Target) {
		return errorf("say where in the container: SOURCE:/PATH", "the path %q in the container is not absolute", v.Target)
	}
	switch v.Type {
	case types.VolumeTypeBind:
		return m.bind(s, i, v)
	case types.VolumeTypeTmpfs:
		out.Type = testsuite.MountTmpfs
		if v.Tmpfs != nil {
			out.Size = int64(v.Tmpfs.Size)
		}
	case types.VolumeTypeVolume:
		if v.Volume != nil && v.Volume.Subpath != "" {
			return errorf("mount a volume of its own", "a test cannot have a part of a volume")
		}
		declared := m.project.Volumes[v.Source]
		if v.Source != "" && (bool(declared.External) || len(declared.DriverOpts) > 0 || declared.Driver != "" && declared.Driver != "local") {
			return testsuite.Mount{}, m.doc.errorf([]string{"volumes", v.Source}, "a test's volume begins with what the image has there; mount files of the build context instead",
				"the volume %s has its data elsewhere", v.Source)
		}
		out.Type, out.ID = testsuite.MountVolume, v.Source
	case types.VolumeTypeImage:
		out.From, out.ReadOnly = testsuite.Source{Image: v.Source}, true
		if m.underTest(v.Source) {
			out.From = testsuite.Source{}
		}
		out.Path = "/"
		if v.Image != nil && v.Image.SubPath != "" {
			out.Path = v.Image.SubPath
		}
	default:
		return errorf("use bind, volume, tmpfs or image", "a test cannot have a volume of the type %s", v.Type)
	}
	return out, nil
}

// daemons are sockets that tests are often given.
var daemons = []string{"docker.sock", "containerd.sock", "podman.sock", "crio.sock"}

// bind is a part of the build context.
func (m *mapper) bind(s *types.ServiceConfig, i int, v types.ServiceVolumeConfig) (testsuite.Mount, error) {
	errorf := func(hint, format string, args ...any) (testsuite.Mount, error) {
		return testsuite.Mount{}, m.errorf(s, hint, format, args...)("volumes", index(i))
	}
	if slices.Contains(daemons, filepath.Base(v.Source)) {
		return errorf("run what the test would start with it as services of this file", "a test cannot have %s: there is no daemon to talk to", v.Source)
	}
	rel, ok := m.inContext(v.Source)
	switch {
	case m.opt.ContextDir == "":
		return errorf("use a directory as build context, or copy the files into the image", "%s cannot be mounted: the build context is not a directory of this machine", m.shown(v.Source))
	case !ok:
		return errorf("put it into the build context, or copy it into the image", "%s lies outside of the build context, and cannot be mounted", m.shown(v.Source))
	}
	out := testsuite.Mount{Target: v.Target, ReadOnly: v.ReadOnly, From: testsuite.Source{Context: true}, Path: rel}
	if _, err := os.Stat(v.Source); err == nil {
		return out, nil
	}
	if v.Bind == nil || !bool(v.Bind.CreateHostPath) {
		return errorf("it is relative to the Compose file", "there is no %s", m.shown(v.Source))
	}
	// Compose makes a directory; here it is one that ends with the test.
	return testsuite.Mount{Type: testsuite.MountVolume, Target: v.Target, ReadOnly: v.ReadOnly}, nil
}

// inContext is a path relative to the build context, with slashes.
func (m *mapper) inContext(name string) (string, bool) {
	for _, dir := range []string{m.opt.ContextDir, resolved(m.opt.ContextDir)} {
		for _, file := range []string{name, resolved(name)} {
			if rel, err := filepath.Rel(dir, file); err == nil && filepath.IsLocal(rel) {
				return "/" + strings.TrimPrefix(filepath.ToSlash(rel), "."), true
			}
		}
	}
	return "", false
}

// tmpfs takes PATH[:size=SIZE,…]; other options are of no account for a test.
func (m *mapper) tmpfs(s *types.ServiceConfig, text string) (testsuite.Mount, error) {
	target, opts, _ := strings.Cut(text, ":")
	out := testsuite.Mount{Type: testsuite.MountTmpfs, Target: target}
	if !path.IsAbs(target) {
		return out, m.errorf(s, "a tmpfs looks like /PATH or /PATH:size=64m", "the path %q in the container is not absolute", target)("tmpfs", text)
	}
	for _, o := range strings.Split(opts, ",") {
		value, ok := strings.CutPrefix(o, "size=")
		if !ok {
			continue
		}
		var err error
		if out.Size, err = units.RAMInBytes(value); err != nil {
			return out, m.errorf(s, "a size looks like 64m", "tmpfs %s: %w", target, err)("tmpfs", text)
		}
	}
	return out, nil
}
