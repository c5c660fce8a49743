package llb

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/tonistiigi/fsutil"
	fstypes "github.com/tonistiigi/fsutil/types"
)

// localDir is a directory as fsutil has it, with what that gets wrong put right:
// a file that goes away between being listed and being looked at would take the
// rest of its directory with it, a socket passes for a regular file, and a file
// that is replaced by a link or a FIFO when it is opened would be followed out of
// the directory, or waited for.
type localDir struct {
	fsutil.FS
	root   *os.Root
	hidden string // what is not there for the daemon; "" for nothing
}

// openDir opens a directory without what is at hidden, if that is inside.
func openDir(dir, hidden string) (*localDir, error) {
	inner, err := fsutil.NewFS(dir)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &localDir{FS: inner, root: root, hidden: inside(dir, hidden)}, nil
}

// inside is path as seen from dir; "" if it is not below it.
func inside(dir, path string) string {
	if path == "" {
		return ""
	}
	from, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	to, err := filepath.Abs(path)
	if err != nil {
		return ""
	}
	rel, err := filepath.Rel(from, to)
	if err != nil || rel == "." || !filepath.IsLocal(rel) {
		return ""
	}
	return rel
}

// errGone is not one of the errors that fsutil takes for the end of a directory.
var errGone = errors.New("it is gone")

func (d *localDir) Walk(ctx context.Context, target string, fn fs.WalkDirFunc) error {
	return d.FS.Walk(ctx, target, func(path string, entry fs.DirEntry, err error) error {
		if path == d.hidden && path != "" {
			if entry != nil && entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if entry != nil {
			entry = dirEntry{entry, entry.Type()&fs.ModeSocket != 0}
		}
		if err = fn(path, entry, err); errors.Is(err, errGone) {
			return nil
		}
		return err
	})
}

func (d *localDir) Open(path string) (io.ReadCloser, error) {
	return d.root.OpenFile(filepath.FromSlash(path), os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

type dirEntry struct {
	fs.DirEntry
	socket bool // fsutil's own entry forgets it
}

func (e dirEntry) Info() (fs.FileInfo, error) {
	fi, err := e.DirEntry.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errGone
	}
	if err != nil || !e.socket {
		return fi, err
	}
	if st, ok := fi.Sys().(*fstypes.Stat); ok {
		st.Mode |= uint32(fs.ModeSocket)
	}
	return fi, nil
}
