package llb

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/moby/go-archive/compression"
	fstypes "github.com/tonistiigi/fsutil/types"
)

// archive is a tar archive as a file system that the session can offer like a
// directory. So the builder is sent only what the build asks for and what it does
// not have from last time, which it could not tell of an archive. Memory has the
// headers; the contents lie in a file without a name, which goes with the process.
type archive struct {
	root     *node
	contents io.ReaderAt
	close    func() error
}

// node is a file of an archive.
type node struct {
	stat     *fstypes.Stat
	data     *extent
	children map[string]*node // of a directory
}

// extent is where a file's content lies. Hard links share one.
type extent struct{ offset, size int64 }

func newArchive(contents io.ReaderAt, release func() error) *archive {
	return &archive{root: directory("", 0), contents: contents, close: release}
}

func directory(name string, modTime int64) *node {
	return &node{stat: &fstypes.Stat{Path: name, Mode: uint32(fs.ModeDir | 0o755), ModTime: modTime}, children: map[string]*node{}}
}

// ErrTemporary tells that the file below os.TempDir could not be made or written that
// keeps an archive's contents.
var ErrTemporary = errors.New("keeping temporary files")

// readArchive reads a tar archive, compressed by gzip, bzip2, xz or zstd or not at
// all, to its end.
func readArchive(r io.Reader) (_ *archive, err error) {
	plain, err := compression.DecompressStream(r)
	if err != nil {
		return nil, fmt.Errorf("decompressing: %w", err)
	}
	defer plain.Close()
	spool, err := os.CreateTemp("", "seatrial-context-")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTemporary, err)
	}
	a := newArchive(spool, spool.Close)
	defer func() {
		if err != nil {
			_ = a.close() // the first error says what is wrong
		}
	}()
	if err := os.Remove(spool.Name()); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTemporary, err)
	}
	buffered := bufio.NewWriterSize(spool, 1<<20)
	if err := a.fill(tar.NewReader(plain), buffered); err != nil {
		return nil, err
	}
	if err := buffered.Flush(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTemporary, err)
	}
	// What follows the archive's end, padding, is read as well: whoever writes
	// it must not find the pipe closed.
	_, err = io.Copy(io.Discard, plain)
	return a, err
}

func (a *archive) fill(tr *tar.Reader, spool io.Writer) error {
	var offset int64
	spool = struct{ io.Writer }{spool} // nothing that makes io.CopyBuffer bring its own buffer
	buf := make([]byte, 64<<10)
	for {
		hdr, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading tar: %w", err)
		}
		if hdr.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		n, err := a.add(hdr)
		if err != nil {
			return fmt.Errorf("reading tar: %q: %w", hdr.Name, err)
		}
		if n == nil || n.data == nil || hdr.Typeflag != tar.TypeReg {
			continue
		}
		n.data.offset = offset
		if n.data.size, err = io.CopyBuffer(spool, tr, buf); err != nil {
			return fmt.Errorf("unpacking %q: %w", hdr.Name, err)
		}
		offset += n.data.size
	}
}

// add puts a header's file where it belongs, as extracting the archive would: a
// later file replaces an earlier one. It returns nil for the root.
func (a *archive) add(hdr *tar.Header) (*node, error) {
	if rel := path.Clean(hdr.Name); rel == ".." || strings.HasPrefix(rel, "../") {
		return nil, errors.New("its name leads out of the archive")
	}
	name := path.Clean("/" + hdr.Name)[1:]
	if name == "" {
		return nil, nil
	}
	n, err := a.newNode(name, hdr)
	if err != nil {
		return nil, err
	}
	parent := a.root
	dir, base := path.Split(name)
	for part := range strings.SplitSeq(strings.TrimSuffix(dir, "/"), "/") {
		if part == "" {
			continue
		}
		next := parent.children[part]
		if next == nil {
			next = directory(path.Join(parent.stat.Path, part), n.stat.ModTime)
			parent.children[part] = next
		}
		if next.children == nil {
			return nil, fmt.Errorf("%q is no directory", next.stat.Path)
		}
		parent = next
	}
	if old := parent.children[base]; old != nil && old.children != nil && n.children != nil {
		n.children = old.children
	}
	parent.children[base] = n
	return n, nil
}

func (a *archive) newNode(name string, hdr *tar.Header) (*node, error) {
	n := &node{stat: &fstypes.Stat{
		Path: name, Mode: uint32(hdr.FileInfo().Mode()), ModTime: hdr.ModTime.UnixNano(),
		Uid: uint32(hdr.Uid), Gid: uint32(hdr.Gid),
	}}
	for k, v := range hdr.PAXRecords {
		if attr, ok := strings.CutPrefix(k, "SCHILY.xattr."); ok {
			if n.stat.Xattrs == nil {
				n.stat.Xattrs = map[string][]byte{}
			}
			n.stat.Xattrs[attr] = []byte(v)
		}
	}
	switch hdr.Typeflag {
	case tar.TypeReg:
		n.stat.Size, n.data = hdr.Size, &extent{}
	case tar.TypeDir:
		n.children = map[string]*node{}
	case tar.TypeSymlink:
		n.stat.Linkname, n.stat.Size = hdr.Linkname, int64(len(hdr.Linkname))
	case tar.TypeLink:
		to := a.find(path.Clean("/" + hdr.Linkname)[1:])
		if to == nil || to.children != nil {
			return nil, fmt.Errorf("it is a hard link to %q, which does not come before it", hdr.Linkname)
		}
		n.stat, n.data = to.stat.Clone(), to.data
		n.stat.Path = name
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
	default:
		return nil, fmt.Errorf("files of type %q are not known", hdr.Typeflag)
	}
	return n, nil
}
