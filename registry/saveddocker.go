package registry

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/containerd/containerd/v2/pkg/archive/compression"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"
)

const dockerFile = "manifest.json"

// dockerEntry is an image in manifest.json, as `docker save` writes it.
type dockerEntry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func (s *Saved) readDockerManifest() ([]dockerEntry, error) {
	var entries []dockerEntry
	err := parseJSON(s.files, dockerFile, &entries)
	return entries, err
}

// uncompressed tells whether an image begins with a layer that is.
func (s *Saved) uncompressed(entries []dockerEntry) bool {
	for _, e := range entries {
		if len(e.Layers) == 0 {
			continue
		}
		r, err := s.files.open(e.Layers[0])
		if err != nil {
			return false
		}
		kind := compressionOf(bufio.NewReader(r))
		_ = r.Close()
		if kind == compression.Uncompressed {
			return true
		}
	}
	return false
}

func (s *Saved) listDocker(entries []dockerEntry) error {
	for _, e := range entries {
		raw, err := readSmall(s.files, e.Config)
		if err != nil {
			return fmt.Errorf("reading configuration of an image: %w", err)
		}
		id, _, err := v1.SHA256(bytes.NewReader(raw))
		if err != nil {
			return err
		}
		// Docker names the file by its digest, in whatever version.
		if want := strings.TrimSuffix(path.Base(e.Config), ".json"); len(want) == len(id.Hex) && want != id.Hex {
			return fmt.Errorf("configuration %s is damaged: content hashes to %s", e.Config, id)
		}
		s.images = append(s.images, SavedImage{Digest: id, Names: e.RepoTags, docker: &e})
	}
	return nil
}

// convert makes a layout in dir of an image as `docker push` would push it: layers
// compressed by gzip, the configuration as it is. The same layers make the same
// bytes.
func (s *Saved) convert(ctx context.Context, e *dockerEntry, dir string) (v1.Descriptor, error) {
	raw, err := readSmall(s.files, e.Config)
	if err != nil {
		return v1.Descriptor{}, err
	}
	config, err := v1.ParseConfigFile(bytes.NewReader(raw))
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("parsing %s: %w", e.Config, err)
	}
	if have, want := len(e.Layers), len(config.RootFS.DiffIDs); have != want {
		return v1.Descriptor{}, fmt.Errorf("the image has %d layers, and its configuration %d", have, want)
	}
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755); err != nil {
		return v1.Descriptor{}, temporary(err)
	}
	manifest := v1.Manifest{SchemaVersion: 2, MediaType: types.DockerManifestSchema2, Layers: make([]v1.Descriptor, len(e.Layers))}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, file := range e.Layers {
		g.Go(func() (err error) {
			manifest.Layers[i], err = s.convertLayer(gctx, file, config.RootFS.DiffIDs[i], dir)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return v1.Descriptor{}, err
	}
	if manifest.Config, err = addBlob(dir, raw, types.DockerConfigJSON); err != nil {
		return v1.Descriptor{}, err
	}
	asOCI(&manifest)
	raw, err = json.MarshalIndent(manifest, "", "   ") // as Docker indents it
	if err != nil {
		return v1.Descriptor{}, err
	}
	return addBlob(dir, raw, manifest.MediaType)
}

// asOCI changes the manifest's types if it has a layer that Docker has no type for.
func asOCI(m *v1.Manifest) {
	zstd := false
	for _, l := range m.Layers {
		zstd = zstd || l.MediaType == types.OCILayerZStd
	}
	if !zstd {
		return
	}
	m.MediaType, m.Config.MediaType = types.OCIManifestSchema1, types.OCIConfigJSON
	for i := range m.Layers {
		if m.Layers[i].MediaType == types.DockerLayer {
			m.Layers[i].MediaType = types.OCILayer
		}
	}
}

// convertLayer brings a layer into dir, compressed, and verifies it.
func (s *Saved) convertLayer(ctx context.Context, file string, diffID v1.Hash, dir string) (v1.Descriptor, error) {
	in, err := s.files.open(file)
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("reading layer %s: %w", diffID, err)
	}
	defer in.Close()
	out, err := os.CreateTemp(dir, "layer-*")
	if err != nil {
		return v1.Descriptor{}, temporary(err)
	}
	defer out.Close()
	digest := &digester{w: temporaryWriter{out}, hash: sha256.New()}
	r := bufio.NewReaderSize(&endingReader{ReadCloser: in, ctx: ctx}, 1<<20)
	mediaType, content := types.DockerLayer, sha256.New()
	switch kind := compressionOf(r); kind {
	case compression.Uncompressed:
		z := gzip.NewWriter(digest) // without a name and time in its header
		if _, err = io.Copy(io.MultiWriter(z, content), r); err == nil {
			err = z.Close()
		}
	default:
		if kind == compression.Zstd {
			mediaType = types.OCILayerZStd
		}
		err = copyCompressed(digest, content, r)
	}
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("reading layer %s: %w", diffID, err)
	}
	if got := hex.EncodeToString(content.Sum(nil)); got != diffID.Hex {
		return v1.Descriptor{}, fmt.Errorf("layer %s is damaged: content of %s hashes to sha256:%s", diffID, file, got)
	}
	desc := v1.Descriptor{MediaType: mediaType, Size: digest.size, Digest: v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(digest.hash.Sum(nil))}}
	return desc, temporary(os.Rename(out.Name(), filepath.Join(dir, filepath.FromSlash(blobPath(desc.Digest)))))
}

// copyCompressed copies r as it is, and has content see what is in it.
func copyCompressed(w, content io.Writer, r io.Reader) error {
	raw := io.TeeReader(r, w)
	z, err := decompress(raw)
	if err != nil {
		return err
	}
	defer z.Close()
	if _, err := io.Copy(content, z); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, raw) // what is behind the end
	return err
}

// digester counts and hashes what it passes on.
type digester struct {
	w    io.Writer
	hash hash.Hash
	size int64
}

func (d *digester) Write(p []byte) (int, error) {
	n, err := d.w.Write(p)
	d.hash.Write(p[:n])
	d.size += int64(n)
	return n, err
}

func addBlob(dir string, raw []byte, mediaType types.MediaType) (v1.Descriptor, error) {
	digest, size, err := v1.SHA256(bytes.NewReader(raw))
	if err != nil {
		return v1.Descriptor{}, err
	}
	err = os.WriteFile(filepath.Join(dir, filepath.FromSlash(blobPath(digest))), raw, 0o600)
	return v1.Descriptor{MediaType: mediaType, Size: size, Digest: digest}, temporary(err)
}
