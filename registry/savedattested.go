package registry

import (
	"context"
	"fmt"
)

// Attested reads the statements of a type that BuildKit or Attest has stored with one
// of the images, and what images there are. Nothing else is read, and nothing of what
// docker save writes, which has no statements. What is missing or damaged is an error.
func (s *Saved) Attested(ctx context.Context, img SavedImage, predicateType string) ([]AttestedImage, error) {
	if img.docker != nil {
		return nil, nil
	}
	a, err := newLoader(ctx, blobFiles{s.files}, &bases{}).artifact(ctx, img.desc, 0)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", s.path, err)
	}
	parts, err := Parts(a)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", s.path, err)
	}
	out := make([]AttestedImage, 0, len(parts))
	for _, part := range parts {
		one := AttestedImage{Part: part}
		if x, ok := a.(*index); ok {
			if one.Statements, err = x.statements(ctx, part, predicateType); err != nil {
				return nil, fmt.Errorf("reading %s: %w", s.path, err)
			}
		}
		out = append(out, one)
	}
	return out, nil
}

// statements are those of a type about one image of the index.
func (x *index) statements(ctx context.Context, part Part, predicateType string) ([][]byte, error) {
	var out [][]byte
	for _, d := range x.manifest.Manifests {
		img, ok := x.children[d.Digest].(*image)
		if !ok || !attests(d, part.Digest) {
			continue
		}
		for _, l := range img.core.manifest.Layers {
			if !states(l, predicateType) {
				continue
			}
			data, err := readVerified(ctx, img.core.loader.store, l)
			if err != nil {
				return nil, fmt.Errorf("reading what is attested of %s: %w", part.Digest, err)
			}
			out = append(out, data)
		}
	}
	return out, nil
}
