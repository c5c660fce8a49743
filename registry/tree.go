package registry

import (
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// manifest is a manifest as it is sent.
type manifest struct {
	raw       []byte
	digest    v1.Hash
	mediaType types.MediaType
}

// tree is all that has to be in a repository for it to have an artifact.
type tree struct {
	root  *manifest
	below [][]*manifest // what is in it, each once and before what it is in: a manifest needs its own to be there
	blobs []v1.Layer    // layers and configs of all images, each once
}

// manifests are all of them.
func (t *tree) manifests() []*manifest {
	return append(slices.Concat(t.below...), t.root)
}

func newTree(a Artifact) (*tree, error) {
	b := &treeBuilder{blobs: map[v1.Hash]bool{}, heights: map[v1.Hash]int{}}
	height, err := b.add(a)
	if err != nil {
		return nil, err
	}
	return &tree{root: b.levels[height][0], below: b.levels[:height], blobs: b.found}, nil
}

type treeBuilder struct {
	levels  [][]*manifest // by their height
	found   []v1.Layer
	blobs   map[v1.Hash]bool // that were found
	heights map[v1.Hash]int  // of manifests
}

// add adds what is not there yet, and tells the height: 0 for an image, and for an
// index that of the highest in it and 1.
func (b *treeBuilder) add(a Artifact) (int, error) {
	m, err := newManifest(a)
	if err != nil {
		return 0, err
	}
	if height, ok := b.heights[m.digest]; ok {
		return height, nil
	}
	height := 0
	switch a := a.(type) {
	case v1.Image:
		err = b.addImage(a)
	case v1.ImageIndex:
		height, err = b.addIndex(a)
	default:
		err = fmt.Errorf("pushing %s: neither an image nor an index", m.digest)
	}
	if err != nil {
		return 0, err
	}
	for len(b.levels) <= height {
		b.levels = append(b.levels, nil)
	}
	b.levels[height] = append(b.levels[height], m)
	b.heights[m.digest] = height
	return height, nil
}

func newManifest(a Artifact) (*manifest, error) {
	raw, err := a.RawManifest()
	if err != nil {
		return nil, err
	}
	digest, err := a.Digest()
	if err != nil {
		return nil, err
	}
	mediaType, err := a.MediaType()
	if err != nil {
		return nil, err
	}
	return &manifest{raw: raw, digest: digest, mediaType: mediaType}, nil
}

func (b *treeBuilder) addImage(img v1.Image) error {
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	config, err := partial.ConfigLayer(img)
	if err != nil {
		return err
	}
	for _, l := range append(layers, config) {
		digest, err := l.Digest()
		if err != nil {
			return err
		}
		mediaType, err := l.MediaType()
		if err != nil {
			return err
		}
		// Foreign layers stay where their URLs say.
		if b.blobs[digest] || !mediaType.IsDistributable() {
			continue
		}
		b.blobs[digest] = true
		b.found = append(b.found, l)
	}
	return nil
}

func (b *treeBuilder) addIndex(idx v1.ImageIndex) (int, error) {
	children, err := partial.Manifests(idx)
	if err != nil {
		return 0, err
	}
	height := 1
	for _, child := range children {
		a, ok := child.(Artifact)
		if !ok {
			digest, _ := child.Digest()
			return 0, fmt.Errorf("pushing %s: neither an image nor an index", digest)
		}
		below, err := b.add(a)
		if err != nil {
			return 0, err
		}
		height = max(height, below+1)
	}
	return height, nil
}
