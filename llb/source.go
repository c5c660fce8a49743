package llb

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/dfgitutil"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// maxDockerfile is what BuildKit's own frontend reads at most.
const maxDockerfile = 16 << 20

const (
	defaultDockerfile   = "Dockerfile"
	defaultDockerignore = ".dockerignore"
)

var httpURL = regexp.MustCompile(`^https?://`)

// IsRemote tells whether a context is one that the daemon fetches (git or
// http), not a directory here.
func IsRemote(context string) bool {
	if httpURL.MatchString(context) {
		return true
	}
	_, isGit, _ := dfgitutil.ParseGitRef(context)
	return isGit
}

// Source is a Dockerfile on this machine with the directory that it builds.
type Source struct {
	Dir        string // the context
	Dockerfile string // the Dockerfile's path
	Data       []byte // the Dockerfile
	IgnoreName string // the ignore file's path, "" if there is none
	IgnoreData []byte
	Excludes   []string // its patterns
}

// ReadSource reads the Dockerfile and the ignore file of a local context
// without any daemon. dockerfile "" is Dockerfile (or dockerfile) in dir. A
// missing directory or Dockerfile is an error that matches fs.ErrNotExist; an
// ignore file that cannot be parsed is an error that names it.
func ReadSource(dir, dockerfile string) (*Source, error) {
	if dir == "" {
		dir = "."
	}
	fi, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("reading build context %q: %w", dir, err)
	}
	if !fi.IsDir() {
		return nil, fmt.Errorf("reading build context %q: not a directory", dir)
	}
	if dockerfile == "" {
		dockerfile = filepath.Join(dir, defaultDockerfile)
		if _, err := os.Stat(dockerfile); errors.Is(err, fs.ErrNotExist) {
			// docker build takes the lower-case name too (moby/moby#10858).
			if lower := filepath.Join(dir, strings.ToLower(defaultDockerfile)); exists(lower) {
				dockerfile = lower
			}
		}
	}
	s := &Source{Dir: dir, Dockerfile: dockerfile}
	if s.Data, err = readLimited(dockerfile); err != nil {
		return nil, err
	}
	if err := s.readIgnore(); err != nil {
		return nil, err
	}
	return s, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func readLimited(path string) ([]byte, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading Dockerfile: %w", err)
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("reading Dockerfile %q: not a regular file", path)
	}
	if fi.Size() > maxDockerfile {
		return nil, fmt.Errorf("reading Dockerfile %q: it has %d bytes, more than the %d that BuildKit takes", path, fi.Size(), maxDockerfile)
	}
	dt, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading Dockerfile: %w", err)
	}
	return dt, nil
}

// readIgnore finds the ignore file as docker build does: the Dockerfile's own
// (Dockerfile.dockerignore) before the context's.
func (s *Source) readIgnore() error {
	for _, name := range []string{s.Dockerfile + defaultDockerignore, filepath.Join(s.Dir, defaultDockerignore)} {
		dt, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("reading ignore file: %w", err)
		}
		s.IgnoreName, s.IgnoreData = name, dt
		if s.Excludes, err = ignorefile.ReadAll(bytes.NewReader(dt)); err != nil {
			return fmt.Errorf("reading ignore file %s: %w", name, err)
		}
		return s.checkIgnore()
	}
	return nil
}

// checkIgnore finds the line of a pattern that BuildKit would refuse without
// saying where it stands.
func (s *Source) checkIgnore() error {
	if _, err := patternmatcher.New(s.Excludes); err == nil {
		return nil
	}
	for i, line := range strings.Split(string(s.IgnoreData), "\n") {
		patterns, err := ignorefile.ReadAll(strings.NewReader(line))
		if err == nil {
			_, err = patternmatcher.New(patterns)
		}
		if err != nil {
			return fmt.Errorf("%s:%d: pattern %q: %w", s.IgnoreName, i+1, strings.TrimSpace(line), err)
		}
	}
	return nil
}

// Stages lists the names of the Dockerfile's stages in order, "" for one
// without a name. A malformed Dockerfile is an error that carries its lines
// (see github.com/moby/buildkit/solver/errdefs.Sources).
func (s *Source) Stages() ([]string, error) {
	return stageNames(s.base(), s.Data)
}

// base is the Dockerfile's name in its directory.
func (s *Source) base() string { return filepath.Base(s.Dockerfile) }

func stageNames(filename string, data []byte) ([]string, error) {
	list, err := dockerfile2llb.ListTargets(nil, data) //nolint:staticcheck // takes a context that it never uses
	if err != nil {
		return nil, withLocation(err, &pb.SourceInfo{Filename: filename, Language: "Dockerfile", Data: data})
	}
	names := make([]string, len(list.Targets))
	for i, t := range list.Targets {
		names[i] = t.Name
	}
	return names, nil
}

// withLocation gives an error of BuildKit's Dockerfile parser the lines that it
// is about, as the daemon's own frontend does.
func withLocation(err error, info *pb.SourceInfo) error {
	var located *parser.LocationError
	if !errors.As(err, &located) {
		return err
	}
	for _, ranges := range located.Locations {
		err = errdefs.WithSource(err, &errdefs.Source{Info: info, Ranges: pbRanges(ranges)})
	}
	return err
}

func pbRanges(ranges []parser.Range) []*pb.Range {
	out := make([]*pb.Range, 0, len(ranges))
	for _, r := range ranges {
		out = append(out, &pb.Range{
			Start: &pb.Position{Line: int32(r.Start.Line), Character: int32(r.Start.Character)},
			End:   &pb.Position{Line: int32(r.End.Line), Character: int32(r.End.Character)},
		})
	}
	return out
}
