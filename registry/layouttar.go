package registry

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io"
	"path"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const layoutVersion = `{"imageLayoutVersion":"1.0.0"}`

// tarLayout is a layout in a tar, with all its times zero: the same artifact makes
// the same bytes.
type tarLayout struct {
	w    *tar.Writer
	dirs bool // they were written
}

func newTarLayout(w io.Writer) *tarLayout { return &tarLayout{w: tar.NewWriter(w)} }

func (l *tarLayout) blob(desc v1.Descriptor, r io.Reader) error {
	if !l.dirs {
		l.dirs = true
		for _, dir := range []string{"blobs/", "blobs/" + desc.Digest.Algorithm + "/"} {
			if err := l.w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755}); err != nil {
				return err
			}
		}
	}
	err := l.w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: blobPath(desc.Digest), Mode: 0o444, Size: desc.Size})
	if err != nil {
		return err
	}
	return copyVerified(l.w, r, desc)
}

func (l *tarLayout) finish(descs []v1.Descriptor, docker []byte) error {
	index, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: descs})
	if err != nil {
		return err
	}
	if err := l.file("index.json", index); err != nil {
		return err
	}
	if docker != nil {
		if err := l.file("manifest.json", docker); err != nil {
			return err
		}
	}
	if err := l.file("oci-layout", []byte(layoutVersion)); err != nil {
		return err
	}
	return l.w.Close()
}

func (l *tarLayout) file(name string, data []byte) error {
	err := l.w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o444, Size: int64(len(data))})
	if err == nil {
		_, err = l.w.Write(data)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

func blobPath(digest v1.Hash) string { return path.Join("blobs", digest.Algorithm, digest.Hex) }

// dockerManifest is manifest.json: what `docker load` reads, of whatever version.
func dockerManifest(img v1.Image, names []name.Reference) ([]byte, error) {
	manifest, err := img.Manifest()
	if err != nil {
		return nil, err
	}
	type entry struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	e := entry{Config: blobPath(manifest.Config.Digest), RepoTags: []string{}, Layers: []string{}}
	for _, n := range names {
		e.RepoTags = append(e.RepoTags, imageName(n))
	}
	for _, layer := range manifest.Layers {
		e.Layers = append(e.Layers, blobPath(layer.Digest))
	}
	return json.Marshal([]entry{e})
}
