package llb

import (
	"bytes"
	"context"
	"fmt"
	"io"
	iofs "io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/tonistiigi/fsutil"
	fstypes "github.com/tonistiigi/fsutil/types"
)

var _ fsutil.FS = memoryFS{}

// memoryFS offers the Dockerfile, and the ignore file of its own, to a frontend
// image: what was read here and decided on, and nothing else of the directory
// that they lie in.
type memoryFS struct {
	files map[string][]byte
	// read is when. The daemon takes a file that has the size and time of one
	// that it has for the same.
	read time.Time
}

func (m memoryFS) Walk(_ context.Context, target string, fn iofs.WalkDirFunc) error {
	target = path.Clean("/" + filepath.ToSlash(target))[1:]
	for _, name := range slices.Sorted(maps.Keys(m.files)) {
		if target != "" && target != name {
			continue
		}
		entry := &fsutil.DirEntryInfo{Stat: &fstypes.Stat{
			Path: name, Mode: 0o644, Size: int64(len(m.files[name])), ModTime: m.read.UnixNano(),
		}}
		if err := fn(name, entry, nil); err != nil {
			return err
		}
	}
	return nil
}

func (m memoryFS) Open(name string) (io.ReadCloser, error) {
	dt, ok := m.files[path.Clean(filepath.ToSlash(name))]
	if !ok {
		return nil, fmt.Errorf("open %s: %w", name, iofs.ErrNotExist)
	}
	return io.NopCloser(bytes.NewReader(dt)), nil
}
