package llb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"sync"

	"github.com/tonistiigi/fsutil"
	fstypes "github.com/tonistiigi/fsutil/types"
)

// ContextError says that a file of a build context could not be sent as it is.
type ContextError struct {
	// Context names the context: "context" is the main one.
	Context string
	// Path is the file's, in the context.
	Path string
	Err  error
}

func (e *ContextError) Error() string {
	return fmt.Sprintf("sending %q of the build context: %v", e.Path, e.Err)
}

func (e *ContextError) Unwrap() error { return e.Err }

// errChanged is the cause when what is sent would be neither the old file nor the
// new one.
var errChanged = errors.New("it changed while it was being sent")

// offer is files that the daemon may read through the session, as a context.
//
// fsutil sends a file that it cannot open as an empty one, and one that changes
// half-way as whatever it read. An image that was tested must not have such files,
// so here that ends the build.
type offer struct {
	fsutil.FS
	name     string
	excludes []string            // what the ignore file keeps at home
	own      func(*fstypes.Stat) // sets the owner
	failed   func(error)         // is told what ends the transfer
	large    func(Transfer)      // is told of a large one; nil: nobody is

	mu      sync.Mutex
	files   map[string]version // regular files by path, as they were listed
	sent    map[string]int64   // bytes by top directory
	total   int64              // bytes
	special map[string]bool    // left out: neither file, directory nor link
}

// version is what tells a file from its changed self.
type version struct{ size, modTime int64 }

// ownedByRoot is how every Dockerfile builder sends a directory.
func ownedByRoot(st *fstypes.Stat) { st.Uid, st.Gid = 0, 0 }

// keepOwner is how it sends an archive.
func keepOwner(*fstypes.Stat) {}

// filter completes what the daemon asks for with what is decided here.
func (o *offer) filter(opt *fsutil.FilterOpt) {
	// It sends the ignore file's patterns, but could as well leave them out:
	// what the ignore file keeps back does not leave this machine.
	opt.ExcludePatterns = o.excludes
	opt.Map = o.keep
}

// keep is told each file that passes the filters.
func (o *offer) keep(path string, st *fstypes.Stat) fsutil.MapResult {
	o.own(st)
	mode := fs.FileMode(st.Mode)
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case mode&(fs.ModeSocket|fs.ModeNamedPipe|fs.ModeDevice|fs.ModeCharDevice|fs.ModeIrregular) != 0:
		o.special[path] = true
		return fsutil.MapResultExclude
	case mode.IsRegular() && st.Linkname == "":
		o.files[filepath.ToSlash(path)] = version{st.Size, st.ModTime}
	}
	return fsutil.MapResultKeep
}

func (o *offer) Walk(ctx context.Context, target string, fn fs.WalkDirFunc) error {
	return o.FS.Walk(ctx, target, func(path string, entry fs.DirEntry, walkErr error) error {
		err := fn(path, entry, walkErr)
		if walkErr != nil && errors.Is(err, walkErr) && !errors.Is(err, fs.ErrNotExist) {
			return o.fail(path, walkErr)
		}
		return err
	})
}

// fail makes err name the file, without the path on this machine that the file
// system puts there too.
func (o *offer) fail(path string, err error) error {
	var inPath *fs.PathError
	if errors.As(err, &inPath) {
		err = inPath.Err
	}
	err = &ContextError{Context: o.name, Path: path, Err: err}
	o.failed(err)
	return err
}

// Open never fails: fsutil would send an empty file. Reading does.
func (o *offer) Open(path string) (io.ReadCloser, error) {
	f, err := o.FS.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = errChanged
	}
	if err != nil {
		return &sending{offer: o, path: path, err: o.fail(path, err)}, nil
	}
	o.mu.Lock()
	listed, ok := o.files[path]
	o.mu.Unlock()
	s := &sending{offer: o, path: path, file: f, version: listed}
	now, known := s.now()
	switch {
	case !ok: // a hard link whose other name is not sent
		s.version = now
	case known && now != listed:
		s.err = o.fail(path, errChanged)
	}
	return s, nil
}

// sending is a file on its way.
type sending struct {
	offer   *offer
	path    string
	file    io.ReadCloser
	version version
	read    int64
	err     error
}

// now is the file as it is now; not known for one in an archive, which stays.
func (s *sending) now() (version, bool) {
	f, ok := s.file.(interface{ Stat() (fs.FileInfo, error) })
	if !ok {
		return s.version, false
	}
	fi, err := f.Stat()
	if err != nil || !fi.Mode().IsRegular() {
		return version{}, true
	}
	return version{fi.Size(), fi.ModTime().UnixNano()}, true
}

func (s *sending) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.file.Read(p)
	s.read += int64(n)
	s.offer.count(s.path, n)
	if errors.Is(err, io.EOF) || s.read > s.version.size {
		if now, known := s.now(); known && (now != s.version || s.read != s.version.size) {
			s.err = s.offer.fail(s.path, errChanged)
			return 0, s.err
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = s.offer.fail(s.path, err)
		return 0, s.err
	}
	return n, err
}

func (s *sending) Close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
