package registry

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"strings"

	"github.com/containerd/containerd/v2/pkg/archive/compression"
	"github.com/containerd/errdefs"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/zstd"
)

// dirFiles are those of a directory.
type dirFiles struct{ fs.FS }

func (d dirFiles) open(path string) (io.ReadCloser, error) { return d.Open(path) }

// tarFiles are those of a tar, which is read where they lie.
type tarFiles struct {
	f     io.ReaderAt
	files map[string]section
	links map[string]string // hard and symbolic ones
}

// section is where a file lies, or which entry of the tar it is: one whose holes are
// left out is not in one piece.
type section struct {
	at, size int64
	sparse   int // counted from 1; 0 for what is in one piece
}

// maxLinks is more than any archive has in a row.
const maxLinks = 8

func (t tarFiles) open(name string) (io.ReadCloser, error) {
	name = path.Clean(name)
	for range maxLinks {
		if s, ok := t.files[name]; ok && s.sparse > 0 {
			return t.entry(s.sparse)
		} else if ok {
			return io.NopCloser(io.NewSectionReader(t.f, s.at, s.size)), nil
		}
		to, ok := t.links[name]
		if !ok {
			break
		}
		name = to
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// entry reads the nth entry of the tar as the tar's reader does.
func (t tarFiles) entry(nth int) (io.ReadCloser, error) {
	r := tar.NewReader(io.NewSectionReader(t.f, 0, math.MaxInt64))
	for range nth {
		if _, err := r.Next(); err != nil {
			return nil, err
		}
	}
	return io.NopCloser(r), nil
}

// leavesHolesOut tells whether an entry is sparse, in any of the ways that there are.
func leavesHolesOut(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return h.Typeflag == tar.TypeGNUSparse
}

// openTar unpacks a compressed tar, and one that cannot be read at any place.
func (s *Saved) openTar() (files, error) {
	f, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	s.close = append(s.close, f.Close)
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() || compressionOf(bufio.NewReader(io.NewSectionReader(f, 0, maxMagic))) != compression.Uncompressed {
		return s.readTar(f)
	}
	return listTar(f)
}

// readTar unpacks a tar, whether it is compressed or not.
func (s *Saved) readTar(in io.Reader) (files, error) {
	r, err := decompress(in)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	f, err := s.spool(r)
	if err != nil {
		return nil, err
	}
	return listTar(f)
}

// spool is a file that has no name, with what is in r.
func (s *Saved) spool(r io.Reader) (*os.File, error) {
	f, err := os.CreateTemp("", "seatrial-push-*")
	if err != nil {
		return nil, temporary(err)
	}
	s.close = append(s.close, f.Close)
	if err := os.Remove(f.Name()); err != nil {
		return nil, temporary(err)
	}
	_, err = io.Copy(temporaryWriter{f}, r)
	return f, err
}

// ErrTemporary tells that a file below os.TempDir could not be made or written.
var ErrTemporary = errors.New("keeping temporary files")

func temporary(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrTemporary, err)
}

// temporaryWriter tells errors of writing from those of reading what is written.
type temporaryWriter struct{ w io.Writer }

func (t temporaryWriter) Write(p []byte) (int, error) {
	n, err := t.w.Write(p)
	return n, temporary(err)
}

// maxMagic is how many bytes tell a compression.
const maxMagic = 10

func compressionOf(r *bufio.Reader) compression.Compression {
	head, _ := r.Peek(maxMagic)
	return compression.DetectCompression(head)
}

// decompress reads gzip, zstd and what is neither. containerd's would have another
// program read gzip, ahead of what it is asked for.
func decompress(in io.Reader) (io.ReadCloser, error) {
	r := bufio.NewReader(in)
	switch compressionOf(r) {
	case compression.Gzip:
		return gzip.NewReader(r)
	case compression.Zstd:
		z, err := zstd.NewReader(r)
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	}
	return io.NopCloser(r), nil
}

// listTar finds out where in a tar its files are.
func listTar(f *os.File) (files, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	t := tarFiles{f: f, files: map[string]section{}, links: map[string]string{}}
	r := tar.NewReader(f)
	for nth := 1; ; nth++ {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("the tar is cut off: %w", err)
		}
		if err != nil {
			return nil, fmt.Errorf("it is no directory, and no tar: %w", err)
		}
		name := path.Clean(h.Name)
		switch {
		case leavesHolesOut(h):
			t.files[name] = section{sparse: nth}
		case h.Typeflag == tar.TypeReg:
			at, err := f.Seek(0, io.SeekCurrent) // the reader has read the header and no more
			if err != nil {
				return nil, err
			}
			t.files[name] = section{at: at, size: h.Size}
		case h.Typeflag == tar.TypeLink:
			t.links[name] = path.Clean(h.Linkname)
		case h.Typeflag == tar.TypeSymlink:
			t.links[name] = path.Join(path.Dir(name), h.Linkname)
		}
	}
}

// blobFiles is the Store of a layout.
type blobFiles struct{ files }

func (b blobFiles) Open(ctx context.Context, desc v1.Descriptor) (io.ReadCloser, error) {
	r, err := b.open(blobPath(desc.Digest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, missingFile(desc.Digest)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", desc.Digest, err)
	}
	return &endingReader{ReadCloser: r, ctx: ctx}, nil
}

// missingFile is the error for a blob without a file. No daemon is to blame.
type missingFile v1.Hash

func (m missingFile) Error() string { return v1.Hash(m).String() + " is missing" }
func (m missingFile) Is(target error) bool {
	return target == ErrBlobMissing || target == errdefs.ErrNotFound
}

func (b blobFiles) Has(_ context.Context, digest v1.Hash) (bool, error) {
	r, err := b.open(blobPath(digest))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, r.Close()
}

// endingReader ends with its context.
type endingReader struct {
	io.ReadCloser
	ctx context.Context
}

func (r *endingReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.ReadCloser.Read(p)
}
