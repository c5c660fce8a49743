package registry

import (
	"context"
	"fmt"
	"maps"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// What BuildKit writes about manifests that attest something of another one in the
// same index (its docs/attestations/attestation-storage.md).
const (
	attestationArtifact       = "application/vnd.docker.attestation.manifest.v1+json"
	attestationManifest       = "attestation-manifest"
	annotationReferenceDigest = "vnd.docker.reference.digest"
	annotationPredicateType   = "in-toto.io/predicate-type"
	inTotoType                = types.MediaType("application/vnd.in-toto+json")
)

// Statement is what is attested of one image: an in-toto statement, and the files
// that it speaks of.
type Statement struct {
	Image         v1.Hash // of its manifest
	PredicateType string
	JSON          []byte
	Files         []StatementFile // default none
}

// StatementFile is kept beside a statement, which names it by its digest.
type StatementFile struct {
	Name      string
	MediaType string
	Data      []byte
}

// AttestOptions say in which form attestations are stored.
type AttestOptions struct {
	// ImageForm makes a new attestation look like an image, for registries that
	// know no other artifacts, as BuildKit's oci-artifact=false does. Default
	// false: an OCI artifact whose subject is the image, unless the image's
	// own types are Docker's.
	ImageForm bool
}

// Attest adds statements to an artifact that Load or Combine gave: into the index, as
// BuildKit stores attestations, one manifest for each image. Where BuildKit has made
// one already, the statement joins those that are in it. An artifact that is an image
// becomes an index. The images keep their digests, and equal statements make an equal
// index. A statement about an image that is not in the artifact is an error.
func Attest(ctx context.Context, a Artifact, statements []Statement, opt AttestOptions) (Artifact, error) {
	if len(statements) == 0 {
		return a, nil
	}
	x, err := indexOf(a)
	if err != nil {
		return nil, err
	}
	for _, s := range statements {
		if err := x.attest(ctx, s, opt); err != nil {
			return nil, fmt.Errorf("attesting %s of %s: %w", s.PredicateType, s.Image, err)
		}
	}
	return x, x.seal(x.manifest.MediaType)
}

// indexOf is a copy of an index, or a new one of a single image.
func indexOf(a Artifact) (*index, error) {
	switch a := a.(type) {
	case *index:
		return &index{manifest: a.manifest.DeepCopy(), children: maps.Clone(a.children)}, nil
	case *image:
		config, err := a.ConfigFile()
		if err != nil {
			return nil, err
		}
		m := &v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
		if a.core.desc.MediaType == types.DockerManifestSchema2 {
			m.MediaType = types.DockerManifestList
		}
		desc := a.core.desc
		desc.Platform = config.Platform()
		m.Manifests = []v1.Descriptor{desc}
		return &index{manifest: m, children: map[v1.Hash]Artifact{desc.Digest: a}}, nil
	}
	return nil, fmt.Errorf("attesting: %T is neither an image nor an index", a)
}

// attest puts the statement into the image's attestation manifest.
func (x *index) attest(ctx context.Context, s Statement, opt AttestOptions) error {
	target := slices.IndexFunc(x.manifest.Manifests, func(d v1.Descriptor) bool { return d.Digest == s.Image })
	if target < 0 {
		return fmt.Errorf("there is no such image")
	}
	of := x.manifest.Manifests[target]
	at := slices.IndexFunc(x.manifest.Manifests, func(d v1.Descriptor) bool { return attests(d, s.Image) })
	e := newEnvelope(of, opt)
	if at >= 0 {
		old, ok := x.children[x.manifest.Manifests[at].Digest].(*image)
		if !ok {
			return fmt.Errorf("%s is no manifest", x.manifest.Manifests[at].Digest)
		}
		if err := e.extend(old); err != nil {
			return err
		}
	}
	if err := e.add(s); err != nil {
		return err
	}
	made, err := e.image(ctx)
	if err != nil {
		return err
	}
	x.children[made.core.desc.Digest] = made
	desc := made.core.desc
	desc.Platform = &v1.Platform{OS: "unknown", Architecture: "unknown"}
	desc.Annotations = map[string]string{
		annotationReferenceType: attestationManifest, annotationReferenceDigest: s.Image.String(),
	}
	if at < 0 {
		x.manifest.Manifests = append(x.manifest.Manifests, desc)
		return nil
	}
	delete(x.children, x.manifest.Manifests[at].Digest)
	x.manifest.Manifests[at] = desc
	return nil
}

// attests tells whether a manifest of an index attests something of an image there.
func attests(d v1.Descriptor, of v1.Hash) bool {
	return d.Annotations[annotationReferenceType] == attestationManifest && d.Annotations[annotationReferenceDigest] == of.String()
}
