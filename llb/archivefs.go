package llb

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/tonistiigi/fsutil"
	fstypes "github.com/tonistiigi/fsutil/types"
)

// find is the file called name, nil if there is none. It follows no links.
func (a *archive) find(name string) *node {
	n := a.root
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." {
			continue
		}
		if n = n.children[part]; n == nil {
			return nil
		}
	}
	return n
}

var _ fsutil.FS = (*archive)(nil)

// Walk implements fsutil.FS. A target that is not there is no error.
func (a *archive) Walk(ctx context.Context, target string, fn fs.WalkDirFunc) error {
	n := a.find(target)
	if n == nil {
		return nil
	}
	err := walk(ctx, n, map[*extent]string{}, fn)
	if errors.Is(err, fs.SkipDir) || errors.Is(err, fs.SkipAll) {
		return nil
	}
	return err
}

func walk(ctx context.Context, n *node, seen map[*extent]string, fn fs.WalkDirFunc) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if n.stat.Path != "" {
		st := n.stat.Clone()
		if n.data != nil {
			if first, ok := seen[n.data]; ok {
				st.Linkname, st.Size = first, 0
			} else {
				seen[n.data] = st.Path
			}
		}
		if err := fn(st.Path, &fsutil.DirEntryInfo{Stat: st}, nil); err != nil {
			if errors.Is(err, fs.SkipDir) && n.children != nil {
				return nil
			}
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		if err := walk(ctx, n.children[name], seen, fn); err != nil {
			if errors.Is(err, fs.SkipDir) { // by a file: the rest of its directory
				return nil
			}
			return err
		}
	}
	return nil
}

// Open implements fsutil.FS.
func (a *archive) Open(name string) (io.ReadCloser, error) {
	n := a.find(name)
	if n == nil || n.data == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return io.NopCloser(io.NewSectionReader(a.contents, n.data.offset, n.data.size)), nil
}

// maxLinks is how many symbolic links a name may lead over.
const maxLinks = 40

// readFile reads a file of at most limit bytes, over links, which the archive's root
// confines.
func (a *archive) readFile(name string, limit int64) ([]byte, error) {
	n := a.root
	rest, links := strings.Split(name, "/"), 0
	for len(rest) > 0 {
		part := rest[0]
		rest = rest[1:]
		switch {
		case part == "" || part == ".":
			continue
		case part == "..":
			n = a.find(path.Dir(n.stat.Path))
			continue
		}
		dir := n
		if n = n.children[part]; n == nil {
			return nil, fs.ErrNotExist
		}
		if fs.FileMode(n.stat.Mode)&fs.ModeSymlink != 0 {
			if links++; links > maxLinks {
				return nil, errors.New("too many symbolic links")
			}
			link := n.stat.Linkname
			rest = append(strings.Split(link, "/"), rest...)
			if n = dir; path.IsAbs(link) {
				n = a.root
			}
		}
	}
	if n.data == nil {
		return nil, errors.New("not a regular file")
	}
	if n.data.size > limit {
		return nil, tooLarge(n.data.size)
	}
	dt := make([]byte, n.data.size)
	_, err := a.contents.ReadAt(dt, n.data.offset)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return dt, err
}

// inMemory is a few files as an archive, of now: the daemon takes a file that has the
// size and time of one that it has for the same.
func inMemory(files map[string][]byte) *archive {
	var all []byte
	now := time.Now().UnixNano()
	a := newArchive(nil, func() error { return nil })
	for _, name := range slices.Sorted(maps.Keys(files)) {
		a.root.children[name] = &node{
			stat: &fstypes.Stat{Path: name, Mode: 0o644, Size: int64(len(files[name])), ModTime: now},
			data: &extent{int64(len(all)), int64(len(files[name]))},
		}
		all = append(all, files[name]...)
	}
	a.contents = bytes.NewReader(all)
	return a
}
