package testsuite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	gateway "github.com/moby/buildkit/frontend/gateway/client"
	fstypes "github.com/tonistiigi/fsutil/types"
	"golang.org/x/sync/errgroup"

	"github.com/seatrial/seatrial/llb"
)

const (
	// fetchRange is how much of a file is asked for at a time. A daemon sends 16
	// MiB at most, less what the message around it takes.
	fetchRange = 4 << 20
	// fetchJobs is how many files are read at a time.
	fetchJobs = 8
	// maxLinks is how many symbolic links are followed to one file, as in Linux.
	maxLinks = 40
)

// fetch brings files from a filesystem on the daemon. What it writes are regular files
// and directories below root, whatever the names and links in the tree say.
type fetch struct {
	tree   llb.Tree
	dir    string // patterns are relative to it
	root   *os.Root
	redact func([]byte) []byte

	listed  map[string][]*fstypes.Stat
	wanted  map[string]string // path here, by the path in the tree
	skipped []string          // what is no file
}

// reports brings what matches the patterns, and says which files that were, as paths
// below the root, and which patterns matched nothing.
func (f *fetch) reports(ctx context.Context, patterns []string) (files, unmatched []string, err error) {
	f.listed, f.wanted = map[string][]*fstypes.Stat{}, map[string]string{}
	for _, pattern := range patterns {
		before := len(f.wanted)
		abs := pattern
		if !path.IsAbs(abs) {
			abs = path.Join(f.dir, pattern)
		}
		segments := strings.Split(strings.Trim(path.Clean(abs), "/"), "/")
		if err := f.match(ctx, "/", segments); err != nil {
			return nil, nil, fmt.Errorf("looking for reports %q: %w", pattern, err)
		}
		if len(f.wanted) == before {
			unmatched = append(unmatched, pattern)
		}
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(fetchJobs)
	for from, to := range f.wanted {
		g.Go(func() error { return f.file(gctx, from, to) })
		files = append(files, to)
	}
	slices.Sort(files)
	return files, unmatched, g.Wait()
}

// match adds the files that the segments of a pattern match below dir.
func (f *fetch) match(ctx context.Context, dir string, segments []string) error {
	if len(segments) == 0 || segments[0] == "" {
		return f.everything(ctx, dir, 0)
	}
	if segments[0] == "**" {
		if err := f.match(ctx, dir, segments[1:]); err != nil {
			return err
		}
	}
	entries, err := f.list(ctx, dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := path.Join(dir, path.Base(entry.Path))
		if segments[0] == "**" {
			if entry.IsDir() {
				if err := f.match(ctx, name, segments); err != nil {
					return err
				}
			}
			continue
		}
		if ok, err := path.Match(segments[0], path.Base(entry.Path)); err != nil || !ok {
			if err != nil {
				return err
			}
			continue
		}
		if err := f.entry(ctx, name, entry, segments[1:]); err != nil {
			return err
		}
	}
	return nil
}

// entry goes on with something that the pattern so far has matched.
func (f *fetch) entry(ctx context.Context, name string, entry *fstypes.Stat, rest []string) error {
	target, st, err := f.resolve(ctx, name, entry)
	if err != nil || st == nil {
		return err
	}
	switch {
	case st.IsDir():
		return f.match(ctx, target, rest)
	case len(rest) == 0:
		f.want(target, name, st)
	}
	return nil
}

// everything adds all files below a directory that was matched.
func (f *fetch) everything(ctx context.Context, dir string, depth int) error {
	const deepest = 64
	entries, err := f.list(ctx, dir)
	if err != nil || depth > deepest {
		return err
	}
	for _, entry := range entries {
		name := path.Join(dir, path.Base(entry.Path))
		if entry.IsDir() {
			if err := f.everything(ctx, name, depth+1); err != nil {
				return err
			}
			continue
		}
		target, st, err := f.resolve(ctx, name, entry)
		if err != nil {
			return err
		}
		if st != nil && !st.IsDir() { // a link to a directory may lead in a circle
			f.want(target, name, st)
		}
	}
	return nil
}

// resolve follows symbolic links inside the tree. The result is nil if there is
// nothing at their end.
func (f *fetch) resolve(ctx context.Context, name string, st *fstypes.Stat) (string, *fstypes.Stat, error) {
	for range maxLinks {
		if fs.FileMode(st.Mode)&fs.ModeSymlink == 0 {
			return name, st, nil
		}
		to := st.Linkname
		if !path.IsAbs(to) {
			to = path.Join(path.Dir(name), to)
		}
		name = path.Clean("/" + to) // never above the root
		entries, err := f.list(ctx, path.Dir(name))
		if err != nil {
			return "", nil, err
		}
		i := slices.IndexFunc(entries, func(e *fstypes.Stat) bool { return path.Base(e.Path) == path.Base(name) })
		if i < 0 {
			return "", nil, nil
		}
		st = entries[i]
	}
	return "", nil, nil
}

// want notes a file, under the name that the pattern matched.
func (f *fetch) want(target, name string, st *fstypes.Stat) {
	if !fs.FileMode(st.Mode).IsRegular() {
		f.skipped = append(f.skipped, name)
		return
	}
	to := strings.TrimPrefix(name, "/")
	if rel, ok := strings.CutPrefix(name, strings.TrimSuffix(f.dir, "/")+"/"); ok {
		to = rel
	}
	f.wanted[target] = to
}

// list is a directory's entries; none if it is not there, or is no directory.
func (f *fetch) list(ctx context.Context, dir string) ([]*fstypes.Stat, error) {
	if entries, ok := f.listed[dir]; ok {
		return entries, nil
	}
	entries, err := f.tree.ReadDir(ctx, gateway.ReadDirRequest{Path: dir})
	if err != nil && !missing(err) {
		return nil, err
	}
	f.listed[dir] = entries
	return entries, nil
}

// missing tells whether an error of the daemon's is about a file that is not there: it
// has no type when it arrives.
func missing(err error) bool {
	if err == nil {
		return false
	}
	s := err.Error()
	return errors.Is(err, fs.ErrNotExist) || strings.Contains(s, "no such file or directory") ||
		strings.Contains(s, "file does not exist") || strings.Contains(s, "not a directory")
}

// file writes one file.
func (f *fetch) file(ctx context.Context, from, to string) error {
	if dir := path.Dir(to); dir != "." {
		if err := f.root.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("writing report %q: %w", to, err)
		}
	}
	w, err := f.root.Create(to)
	if err != nil {
		return fmt.Errorf("writing report %q: %w", to, err)
	}
	out := &redactor{w: w, redact: f.redact}
	err = read(ctx, f.tree, from, 0, out)
	if werr := errors.Join(out.flush(), w.Close()); werr != nil {
		err = errors.Join(err, &localError{werr})
	}
	if err != nil {
		return fmt.Errorf("bringing back %q: %w", from, err)
	}
	return nil
}

// read writes a file of the tree to w, from an offset on.
func read(ctx context.Context, tree llb.Tree, name string, offset int, w io.Writer) error {
	for {
		dt, err := tree.ReadFile(ctx, gateway.ReadRequest{Filename: name, Range: &gateway.FileRange{Offset: offset, Length: fetchRange}})
		if err != nil {
			return err
		}
		if _, err := w.Write(dt); err != nil {
			return &localError{err}
		}
		if len(dt) < fetchRange {
			return nil
		}
		offset += len(dt)
	}
}

// redactor masks secrets, which have no line breaks in them, line by line.
type redactor struct {
	w      io.Writer
	redact func([]byte) []byte // nil: nothing to mask
	rest   []byte
}

// longestLine is what is kept of a line to mask a secret in it that came in pieces.
const longestLine = 1 << 20

// Write implements io.Writer.
func (r *redactor) Write(p []byte) (int, error) {
	if r.redact == nil {
		return r.w.Write(p)
	}
	r.rest = append(r.rest, p...)
	end := strings.LastIndexByte(string(r.rest), '\n') + 1
	if end == 0 && len(r.rest) > longestLine {
		end = len(r.rest)
	}
	if end == 0 {
		return len(p), nil
	}
	_, err := r.w.Write(r.redact(slices.Clone(r.rest[:end])))
	r.rest = append(r.rest[:0], r.rest[end:]...)
	return len(p), err
}

func (r *redactor) flush() error {
	if len(r.rest) == 0 {
		return nil
	}
	_, err := r.w.Write(r.redact(r.rest))
	r.rest = nil
	return err
}
