package registry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Combine makes one index of several that Load gave: all that they hold, in their
// order, with all their annotations. Each keeps reading from where it was loaded. A
// platform that two of them have is an error.
func Combine(parts ...Artifact) (Artifact, error) {
	m := v1.IndexManifest{SchemaVersion: 2}
	x := &index{manifest: &m, children: map[v1.Hash]Artifact{}}
	have := map[string]bool{}
	for _, part := range parts {
		p, ok := part.(*index)
		if !ok {
			return nil, fmt.Errorf("combining indexes: %T is none", part)
		}
		if m.MediaType == "" {
			m.MediaType = p.desc.MediaType
		}
		if m.Annotations == nil {
			m.Annotations = maps.Clone(p.manifest.Annotations)
		} else {
			maps.Copy(m.Annotations, p.manifest.Annotations)
		}
		maps.Copy(x.children, p.children)
		for _, desc := range p.manifest.Manifests {
			if platform := platformOf(desc); platform != "" {
				if have[platform] {
					return nil, fmt.Errorf("combining indexes: more than one image for %s", platform)
				}
				have[platform] = true
			}
			m.Manifests = append(m.Manifests, desc)
		}
	}
	return x, x.seal(m.MediaType)
}

// platformOf is "" for what is no image: an attestation is for "unknown/unknown".
func platformOf(desc v1.Descriptor) string {
	if desc.Platform == nil || desc.Platform.OS == "unknown" {
		return ""
	}
	return desc.Platform.String()
}

// seal writes the manifest down, which gives the index its digest.
func (x *index) seal(mediaType types.MediaType) error {
	raw, err := json.MarshalIndent(x.manifest, "", "  ")
	if err != nil {
		return fmt.Errorf("combining indexes: %w", err)
	}
	digest, size, err := v1.SHA256(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	x.raw, x.desc = raw, v1.Descriptor{MediaType: mediaType, Digest: digest, Size: size}
	return nil
}
