package registry

import (
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Part is one image of an artifact.
type Part struct {
	Digest   v1.Hash
	Platform v1.Platform // the zero value if an index does not tell
}

// Parts lists the images of an artifact, in its order: itself, or those of the index,
// without what is attested of them.
func Parts(a Artifact) ([]Part, error) {
	switch a := a.(type) {
	case v1.Image:
		digest, err := a.Digest()
		if err != nil {
			return nil, err
		}
		config, err := a.ConfigFile()
		if err != nil {
			return nil, err
		}
		part := Part{Digest: digest}
		if platform := config.Platform(); platform != nil { // an artifact has none
			part.Platform = *platform
		}
		return []Part{part}, nil
	case v1.ImageIndex:
		m, err := a.IndexManifest()
		if err != nil {
			return nil, err
		}
		return partsOf(m), nil
	}
	return nil, fmt.Errorf("listing images: %T is neither an image nor an index", a)
}

func partsOf(m *v1.IndexManifest) []Part {
	var parts []Part
	for _, d := range m.Manifests {
		if d.Annotations[annotationReferenceType] != "" {
			continue
		}
		part := Part{Digest: d.Digest}
		if d.Platform != nil {
			part.Platform = *d.Platform
		}
		parts = append(parts, part)
	}
	return parts
}
