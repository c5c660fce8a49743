package llb

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// layout is an image in an OCI layout, a directory that the session offers as a
// content store.
type layout struct {
	id     string // the store's, the same for the same directory
	store  layoutStore
	digest digest.Digest
}

// openLayout finds the image that spec, PATH[:TAG][@DIGEST], names. Without either
// it is the one called latest, or the only one.
func openLayout(spec string) (*layout, error) {
	path, dgst, _ := strings.Cut(spec, "@")
	path, tag := path, ""
	if i := strings.LastIndex(path, ":"); i >= 0 && !strings.Contains(path[i:], "/") {
		path, tag = path[:i], path[i+1:]
	}
	index, err := readIndex(path)
	if err != nil {
		return nil, err
	}
	l := &layout{digest: digest.Digest(dgst)}
	if dgst == "" {
		if l.digest, err = choose(index, tag); err != nil {
			return nil, fmt.Errorf("OCI layout %q: %w", path, err)
		}
	}
	if err := l.digest.Validate(); err != nil {
		return nil, fmt.Errorf("OCI layout %q: digest %q: %w", path, l.digest, err)
	}
	l.store = layoutStore{dir: path}
	if _, err := os.Stat(l.store.blob(l.digest)); err != nil {
		return nil, fmt.Errorf("OCI layout %q: it has no blob %s", path, l.digest)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("opening OCI layout %q: %w", path, err)
	}
	sum := sha256.Sum256([]byte(abs))
	l.id = "layout-" + hex.EncodeToString(sum[:8])
	return l, nil
}

func readIndex(path string) (*ocispecs.Index, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("OCI layout: %w", err)
	}
	dt, err := os.ReadFile(filepath.Join(path, ocispecs.ImageIndexFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%q is no OCI layout: it has no %s", path, ocispecs.ImageIndexFile)
	}
	if err != nil {
		return nil, fmt.Errorf("OCI layout: %w", err)
	}
	var index ocispecs.Index
	if err := json.Unmarshal(dt, &index); err != nil {
		return nil, fmt.Errorf("OCI layout %q: %s: %w", path, ocispecs.ImageIndexFile, err)
	}
	return &index, nil
}

// choose finds the image with a tag.
func choose(index *ocispecs.Index, tag string) (digest.Digest, error) {
	want := tag
	if want == "" {
		want = "latest"
	}
	var have []string
	for _, m := range index.Manifests {
		// The specification has the tag there, and some tools a whole name.
		name := m.Annotations[ocispecs.AnnotationRefName]
		if name == want || strings.HasSuffix(name, ":"+want) {
			return m.Digest, nil
		}
		if name == "" {
			name = m.Digest.String()
		}
		have = append(have, name)
	}
	if tag == "" && len(index.Manifests) == 1 {
		return index.Manifests[0].Digest, nil
	}
	if len(have) == 0 {
		return "", errors.New("there is no image in it")
	}
	return "", fmt.Errorf("there is no image %q in it, only %s", want, strings.Join(have, ", "))
}
