package llb

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/moby/buildkit/frontend/dockerfile/dfgitutil"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"
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

// Source is a Dockerfile on this machine with what it builds.
type Source struct {
	Dir        string // the context; "" if it is no directory
	Dockerfile string // the Dockerfile's path, or only its name
	Data       []byte // the Dockerfile
	IgnoreName string // the ignore file's path, "" if there is none
	IgnoreData []byte
	Excludes   []string // its patterns

	archive *archive // the context if that is no directory; nil: a remote one
}

// ReadSource reads the Dockerfile and the ignore file of a local context
// without any daemon. dockerfile "" is Dockerfile (or dockerfile) in dir. A
// missing directory or Dockerfile is an error that matches fs.ErrNotExist, and so
// is a Dockerfile that is a link out of the context and its own directory; an
// ignore file that cannot be parsed is an error that names it.
func ReadSource(dir, dockerfile string) (*Source, error) {
	dir, err := checkDir(dir)
	if err != nil {
		return nil, err
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
	if s.Data, err = readInside(dockerfile, dir); err != nil {
		return nil, fmt.Errorf("reading Dockerfile %q: %w", dockerfile, err)
	}
	return s, s.readIgnore(dockerfile+defaultDockerignore, s.ignoreFile())
}

// ReadDockerfile is ReadSource with the Dockerfile read from r. context may be remote
// as well: then the Dockerfile is used instead of the one there.
func ReadDockerfile(context string, r io.Reader) (*Source, error) {
	s := &Source{Dockerfile: defaultDockerfile}
	var err error
	if !IsRemote(context) {
		if s.Dir, err = checkDir(context); err != nil {
			return nil, err
		}
	}
	if s.Data, err = readText(r); err != nil {
		return nil, err
	}
	if s.Dir == "" {
		return s, nil
	}
	return s, s.readIgnore(s.ignoreFile())
}

func checkDir(dir string) (string, error) {
	if dir == "" {
		dir = "."
	}
	fi, err := os.Stat(dir)
	if err != nil {
		return "", fmt.Errorf("reading build context %q: %w", dir, err)
	}
	if !fi.IsDir() {
		return "", fmt.Errorf("reading build context %q: not a directory", dir)
	}
	return dir, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// readInside reads a file that may be a link to one in its own directory or in dir.
// Of a Dockerfile that is a link to anywhere else, the error message of the parser
// would show the lines.
func readInside(path, dir string) ([]byte, error) {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, cause(err)
	}
	if !isBelow(target, filepath.Dir(path)) && !isBelow(target, dir) {
		return nil, ErrOutside
	}
	f, err := os.OpenFile(target, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO would be waited for
	if err != nil {
		return nil, cause(err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, cause(err)
	}
	if !fi.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	if fi.Size() > maxDockerfile {
		return nil, tooLarge(fi.Size())
	}
	return io.ReadAll(f)
}

// ErrOutside says that a Dockerfile or an ignore file is a link to a place that no
// builder would see. It matches fs.ErrNotExist, as that is what one would say.
var ErrOutside = fmt.Errorf("it is a symbolic link to a place outside the build context: %w", fs.ErrNotExist)

func isBelow(path, dir string) bool {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// cause is err without the path, which is said already.
func cause(err error) error {
	var inPath *fs.PathError
	if errors.As(err, &inPath) {
		return inPath.Err
	}
	return err
}

func tooLarge(size int64) error {
	return fmt.Errorf("it has %d bytes, more than the %d that BuildKit takes", size, maxDockerfile)
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
