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
	below [][]*manifest // children, the deepest first: a manifest needs its own to be there
	blobs []v1.Layer    // layers and configs of all images, each once
}

// manifests are all of them.
func (t *tree) manifests() []*manifest {
	return append(slices.Concat(t.below...), t.root)
}

func newTree(a Artifact) (*tree, error) {
	b := &treeBuilder{tree: &tree{}, seen: map[v1.Hash]bool{}}
	levels := [][]*manifest{}
	root, err := b.add(a, 0, &levels)
	if err != nil {
		return nil, err
	}
	b.tree.root = root
	for i := len(levels) - 1; i > 0; i-- {
		b.tree.below = append(b.tree.below, levels[i])
	}
	return b.tree, nil
}

type treeBuilder struct {
	tree *tree
	seen map[v1.Hash]bool // blobs
}

func (b *treeBuilder) add(a Artifact, depth int, levels *[][]*manifest) (*manifest, error) {
	m, err := newManifest(a)
	if err != nil {
		return nil, err
	}
	if len(*levels) == depth {
		*levels = append(*levels, nil)
	}
	(*levels)[depth] = append((*levels)[depth], m)
	switch a := a.(type) {
	case v1.Image:
		return m, b.addImage(a)
	case v1.ImageIndex:
		return m, b.addIndex(a, depth, levels)
	}
	return nil, fmt.Errorf("pushing %s: neither an image nor an index", m.digest)
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
		if b.seen[digest] || !mediaType.IsDistributable() {
			continue
		}
		b.seen[digest] = true
		b.tree.blobs = append(b.tree.blobs, l)
	}
	return nil
}

func (b *treeBuilder) addIndex(idx v1.ImageIndex, depth int, levels *[][]*manifest) error {
	children, err := partial.Manifests(idx)
	if err != nil {
		return err
	}
	for _, child := range children {
		a, ok := child.(Artifact)
		if !ok {
			digest, _ := child.Digest()
			return fmt.Errorf("pushing %s: neither an image nor an index", digest)
		}
		if _, err := b.add(a, depth+1, levels); err != nil {
			return err
		}
	}
	return nil
}
