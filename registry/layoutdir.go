package registry

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	ggcrlayout "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/match"
)

// defaultRefName is the name in a layout of an artifact that has none, as BuildKit's
// client has it.
const defaultRefName = "latest"

// dirLayout is a layout in a directory.
type dirLayout struct{ path ggcrlayout.Path }

func newDirLayout(dir string) (*dirLayout, error) {
	p, err := ggcrlayout.FromPath(dir)
	if errors.Is(err, fs.ErrNotExist) {
		p, err = ggcrlayout.Write(dir, empty.Index)
	}
	if err != nil {
		return nil, fmt.Errorf("opening image layout %s: %w", dir, err)
	}
	return &dirLayout{p}, nil
}

// blob replaces a file that cannot be the blob because of its size, and takes any
// other for it.
func (l *dirLayout) blob(desc v1.Descriptor, r io.Reader) error {
	file := filepath.Join(string(l.path), filepath.FromSlash(blobPath(desc.Digest)))
	if fi, err := os.Stat(file); err == nil && fi.Size() == desc.Size {
		return nil
	}
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".writing-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // in vain once it was renamed
	err = errors.Join(copyVerified(tmp, r, desc), tmp.Chmod(0o644), tmp.Close())
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}

func (l *dirLayout) finish(descs []v1.Descriptor, _ []byte) error {
	for _, desc := range descs {
		key, value := annotationImageName, desc.Annotations[annotationImageName]
		if value == "" {
			key, value = annotationRefName, defaultRefName
			desc.Annotations = withAnnotation(desc.Annotations, key, value)
		}
		if err := l.path.RemoveDescriptors(match.Annotation(key, value)); err != nil {
			return fmt.Errorf("writing index.json: %w", err)
		}
		if err := l.path.AppendDescriptor(desc); err != nil {
			return fmt.Errorf("writing index.json: %w", err)
		}
	}
	return nil
}
