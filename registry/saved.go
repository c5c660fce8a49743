package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// AnnotationTests is the annotation, in the index.json of a layout, of an image that
// has passed its tests. Its value is the caller's.
const AnnotationTests = "vnd.seatrial.tests"

const indexFile = "index.json"

// Saved is a file or directory that images were written to: an OCI image layout, a
// tar of one, or what `docker save` writes. A tar may be compressed (gzip, zstd).
type Saved struct {
	path   string
	files  files
	images []SavedImage
	tmp    string // a directory; "" until there has to be one
	close  []func() error
}

// SavedImage is one image, or index of images, of a Saved.
type SavedImage struct {
	// Digest is that of the manifest or index; of the configuration, which
	// Docker calls the image's ID, if there is no manifest.
	Digest v1.Hash
	// Names are those that it has in there: whole names, and bare tags.
	Names []string
	// Annotations are what is said of the image there.
	Annotations map[string]string

	desc   v1.Descriptor
	docker *dockerEntry // there is no manifest
}

// files opens files of an archive or directory by their slash-separated paths. That
// of an absent one fails with fs.ErrNotExist.
type files interface {
	open(path string) (io.ReadCloser, error)
}

// OpenSaved reads what images there are. Errors name the path. Close it after use.
func OpenSaved(path string) (*Saved, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("opening image: %w", err)
	}
	s := &Saved{path: path}
	if fi.IsDir() {
		s.files = dirFiles{os.DirFS(path)}
	} else if s.files, err = s.openTar(); err != nil {
		return nil, errors.Join(fmt.Errorf("reading %s: %w", path, err), s.Close())
	}
	return s.listed()
}

// ReadSaved is OpenSaved for a tar that is read from r to its end. The path is for
// errors only.
func ReadSaved(path string, r io.Reader) (*Saved, error) {
	s := &Saved{path: path}
	var err error
	if s.files, err = s.readTar(r); err != nil {
		return nil, errors.Join(fmt.Errorf("reading %s: %w", path, err), s.Close())
	}
	return s.listed()
}

func (s *Saved) listed() (*Saved, error) {
	if err := s.list(); err != nil {
		return nil, errors.Join(fmt.Errorf("reading %s: %w", s.path, err), s.Close())
	}
	return s, nil
}

// Images are the images that are there, each once.
func (s *Saved) Images() []SavedImage { return s.images }

// Close removes what had to be unpacked.
func (s *Saved) Close() error {
	var errs []error
	for _, f := range slices.Backward(s.close) {
		errs = append(errs, f())
	}
	s.close = nil
	return errors.Join(errs...)
}

// Load gives one of the images as a v1.Image or v1.ImageIndex, until Close. All of
// its blobs are read and verified first: an error names the one that is missing or
// is not what its digest says. Layers that are not compressed, in what `docker save`
// writes, are compressed, which takes room below os.TempDir.
func (s *Saved) Load(ctx context.Context, img SavedImage) (Artifact, error) {
	a, err := s.load(ctx, img)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", s.path, err)
	}
	return a, nil
}

func (s *Saved) load(ctx context.Context, img SavedImage) (Artifact, error) {
	store, desc := blobFiles{s.files}, img.desc
	if img.docker != nil {
		tmp, err := s.tempDir()
		if err != nil {
			return nil, err
		}
		if desc, err = s.convert(ctx, img.docker, tmp); err != nil {
			return nil, err
		}
		store = blobFiles{dirFiles{os.DirFS(tmp)}}
	}
	a, err := newLoader(ctx, store, &bases{}).artifact(ctx, desc, 0)
	if err == nil && img.docker == nil { // what was converted was verified meanwhile
		err = verifyBlobs(ctx, store, a)
	}
	return a, err
}

// list finds the images. A tar that Docker has written may describe them both as a
// layout and in Docker's own way. The layout names what it was given to keep, and is
// taken; but Docker 25 writes one around layers that it never compressed.
func (s *Saved) list() error {
	index, err := s.readIndex()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	entries, derr := s.readDockerManifest()
	if derr != nil && !errors.Is(derr, fs.ErrNotExist) {
		return derr
	}
	switch {
	case err != nil && derr != nil:
		return fmt.Errorf("neither an OCI image layout nor what docker save writes: it has no %s and no %s", indexFile, dockerFile)
	case err == nil && (derr != nil || noted(index) || !s.uncompressed(entries)):
		s.listIndex(index)
	default:
		return s.listDocker(entries)
	}
	return nil
}

func noted(index *v1.IndexManifest) bool {
	return slices.ContainsFunc(index.Manifests, func(d v1.Descriptor) bool { return d.Annotations[AnnotationTests] != "" })
}

func (s *Saved) readIndex() (*v1.IndexManifest, error) {
	raw, err := readSmall(s.files, indexFile)
	if err != nil {
		return nil, err
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("parsing %s: %w", indexFile, err)
	}
	return index, nil
}

// listIndex takes what has several names once.
func (s *Saved) listIndex(index *v1.IndexManifest) {
	at := map[v1.Hash]int{}
	for _, desc := range index.Manifests {
		i, ok := at[desc.Digest]
		if !ok {
			i = len(s.images)
			at[desc.Digest] = i
			s.images = append(s.images, SavedImage{Digest: desc.Digest, Annotations: map[string]string{}, desc: desc})
		}
		img := &s.images[i]
		for k, v := range desc.Annotations {
			if k != annotationImageName && k != annotationRefName {
				img.Annotations[k] = v
			} else if !slices.Contains(img.Names, v) {
				img.Names = append(img.Names, v)
			}
		}
		slices.Sort(img.Names)
	}
}

// tempDir is a directory that Close removes.
func (s *Saved) tempDir() (string, error) {
	if s.tmp != "" {
		return s.tmp, nil
	}
	dir, err := os.MkdirTemp("", "seatrial-push-*")
	if err != nil {
		return "", temporary(err)
	}
	s.tmp = dir
	s.close = append(s.close, func() error { return os.RemoveAll(dir) })
	return dir, nil
}

// readSmall reads a file that is held in memory.
func readSmall(f files, path string) ([]byte, error) {
	r, err := f.open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxMetadata+1))
	if err == nil && len(data) > maxMetadata {
		err = errors.New("it is too large")
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return data, nil
}

func parseJSON(f files, path string, v any) error {
	raw, err := readSmall(f, path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("parsing %s: %w", path, err)
	}
	return nil
}
