package structure

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"

	gateway "github.com/moby/buildkit/frontend/gateway/client"
	fstypes "github.com/tonistiigi/fsutil/types"
)

// Files is a filesystem. A gateway.Reference is one.
type Files interface {
	ReadDir(ctx context.Context, req gateway.ReadDirRequest) ([]*fstypes.Stat, error)
	ReadFile(ctx context.Context, req gateway.ReadRequest) ([]byte, error)
	StatFile(ctx context.Context, req gateway.StatRequest) (*fstypes.Stat, error)
}

// tree finds files by listing directories, each once. It follows symbolic links
// itself: then every directory that it lists is known to be there, and what does not
// exist need not be told from what could not be read by the text of an error, which
// is all of it that crosses a gRPC connection.
type tree struct {
	files Files

	mu   sync.Mutex
	dirs map[string]*listing
}

type listing struct {
	once    sync.Once
	entries map[string]*fstypes.Stat
	err     error
}

func newTree(files Files) *tree { return &tree{files: files, dirs: map[string]*listing{}} }

// list lists a directory that is there, and whose path has no symbolic links.
func (t *tree) list(ctx context.Context, dir string) (map[string]*fstypes.Stat, error) {
	t.mu.Lock()
	l := t.dirs[dir]
	if l == nil {
		l = &listing{}
		t.dirs[dir] = l
	}
	t.mu.Unlock()
	l.once.Do(func() {
		stats, err := t.readDir(ctx, dir)
		if err != nil {
			l.err = fmt.Errorf("reading directory %s: %w", dir, err)
			return
		}
		l.entries = make(map[string]*fstypes.Stat, len(stats))
		for _, st := range stats {
			l.entries[path.Base(st.Path)] = st
		}
		provide(dir, l.entries)
	})
	return l.entries, l.err
}

// readDir lists what the image has in a directory: nothing, if a container alone has it.
func (t *tree) readDir(ctx context.Context, dir string) ([]*fstypes.Stat, error) {
	if _, ok := atRun()[dir]; ok {
		entries, err := t.list(ctx, path.Dir(dir))
		if st := entries[path.Base(dir)]; err != nil || st != nil && provided(st) {
			return nil, err
		}
	}
	return t.files.ReadDir(ctx, gateway.ReadDirRequest{Path: dir})
}

// errNotExist says that nothing is there.
var errNotExist = errors.New("no such file or directory")

// errLoop is for links that lead to one another.
var errLoop = errors.New("too many levels of symbolic links")

// maxLinks is as many as Linux follows.
const maxLinks = 40

// clean is a path of a test as Docker takes it: ".." is what is written before it
// without the last step, be that a link or not there at all. A slash at the end remains.
func clean(name string) string {
	out := path.Join("/", name)
	if strings.HasSuffix(name, "/") || strings.HasSuffix(name, "/.") {
		out += "/"
	}
	return out
}

// lstat finds what is called name, without following it if it is a symbolic link,
// unless it ends in a slash. It returns its path without links.
func (t *tree) lstat(ctx context.Context, name string) (*fstypes.Stat, string, error) {
	if strings.HasSuffix(name, "/") {
		return t.walk(ctx, name, followed)
	}
	return t.walk(ctx, name, kept)
}

// stat finds what is called name, following symbolic links.
func (t *tree) stat(ctx context.Context, name string) (*fstypes.Stat, string, error) {
	return t.walk(ctx, name, followed)
}

// lastLink is what becomes of a symbolic link at the end of a path.
type lastLink int

const (
	kept lastLink = iota
	followed
)

func (t *tree) walk(ctx context.Context, name string, last lastLink) (*fstypes.Stat, string, error) {
	rest := split(name)
	links := 0
	at, st := "/", (*fstypes.Stat)(nil) // nil is the root
	for len(rest) > 0 {
		step := rest[0]
		rest = rest[1:]
		if st != nil && !mode(st).IsDir() {
			return nil, "", errNotExist
		}
		if step == ".." {
			var err error
			if at, st, err = t.parent(ctx, at); err != nil {
				return nil, "", err
			}
			continue
		}
		entries, err := t.list(ctx, at)
		if err != nil {
			return nil, "", err
		}
		next := entries[step]
		if next == nil {
			return nil, "", errNotExist
		}
		if mode(next)&fs.ModeSymlink != 0 && (last == followed || len(rest) > 0) {
			if links++; links > maxLinks {
				return nil, "", errLoop
			}
			rest = append(split(next.Linkname), rest...)
			if path.IsAbs(next.Linkname) {
				at, st = "/", nil
			}
			continue
		}
		at, st = path.Join(at, step), next
	}
	if st == nil {
		st, err := t.files.StatFile(ctx, gateway.StatRequest{Path: "/"})
		if err != nil {
			return nil, "", fmt.Errorf("reading /: %w", err)
		}
		return st, "/", nil
	}
	return st, at, nil
}

// parent is the directory above one that was reached; nil for the root.
func (t *tree) parent(ctx context.Context, at string) (string, *fstypes.Stat, error) {
	up := path.Dir(at)
	if up == "/" {
		return up, nil, nil
	}
	entries, err := t.list(ctx, path.Dir(up))
	return up, entries[path.Base(up)], err
}

// split are the steps of a path. A path that is not absolute is taken from the root.
func split(name string) []string {
	var steps []string
	for _, s := range strings.Split(name, "/") {
		if s != "" && s != "." {
			steps = append(steps, s)
		}
	}
	return steps
}

func mode(st *fstypes.Stat) fs.FileMode { return fs.FileMode(st.Mode) }

// maxRead is less than what one message of the daemon may have.
const maxRead = 8 << 20

// read returns a regular file, following symbolic links.
func (t *tree) read(ctx context.Context, name string) ([]byte, error) {
	st, at, err := t.stat(ctx, name)
	switch {
	case err != nil:
		return nil, err
	case mode(st).IsDir():
		return nil, errors.New("it is a directory, not a file")
	case !mode(st).IsRegular():
		return nil, fmt.Errorf("it is no regular file: %s", mode(st))
	case provided(st):
		return nil, nil
	case st.Size <= maxRead:
		return t.files.ReadFile(ctx, gateway.ReadRequest{Filename: at})
	}
	data := make([]byte, 0, st.Size)
	for int64(len(data)) < st.Size {
		part, err := t.files.ReadFile(ctx, gateway.ReadRequest{Filename: at, Range: &gateway.FileRange{Offset: len(data), Length: maxRead}})
		if err != nil {
			return nil, err
		}
		if len(part) == 0 {
			break
		}
		data = append(data, part...)
	}
	return data, nil
}
