package registry

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// Reader reads what is attested in one repository. Its errors are of type *Error.
type Reader struct{ conn *conn }

// NewReader connects to a repository for reading.
func NewReader(ctx context.Context, repo name.Repository, opt Options) (*Reader, error) {
	c, err := newNetwork(opt).dial(ctx, repo, []string{repo.Scope(transport.PullScope)})
	if err != nil {
		return nil, err
	}
	return &Reader{c}, nil
}

// Attested is an image or index as a repository has it.
type Attested struct {
	Digest v1.Hash
	Index  bool // it is an index, whose digest covers the statements
	Images []AttestedImage
}

// AttestedImage is one image and the in-toto statements about it. They are not signed:
// whoever may push the image may have written them.
type AttestedImage struct {
	Part
	Statements [][]byte

	files []v1.Descriptor // that are kept beside statements
}

// Attested reads the statements of a type that BuildKit or Attest has stored with the
// images behind a reference. Those of an image that is named by its own digest are
// looked for among its referrers.
func (r *Reader) Attested(ctx context.Context, ref name.Reference, predicateType string) (*Attested, error) {
	desc, err := r.get(ctx, ref)
	if err != nil {
		return nil, err
	}
	if !desc.MediaType.IsIndex() {
		return r.attestedImage(ctx, desc, predicateType)
	}
	idx, err := desc.ImageIndex()
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", ref, err)
	}
	m, err := idx.IndexManifest()
	if err != nil {
		return nil, r.conn.errorf(err, "reading %s", ref)
	}
	out := &Attested{Digest: desc.Digest, Index: true}
	for _, part := range partsOf(m) {
		image := AttestedImage{Part: part}
		for _, d := range m.Manifests {
			if !attests(d, part.Digest) {
				continue
			}
			if err := r.statements(ctx, d, predicateType, &image); err != nil {
				return nil, err
			}
		}
		out.Images = append(out.Images, image)
	}
	return out, nil
}

func (r *Reader) attestedImage(ctx context.Context, desc *remote.Descriptor, predicateType string) (*Attested, error) {
	img, err := desc.Image()
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", desc.Digest, err)
	}
	parts, err := Parts(img)
	if err != nil {
		return nil, r.conn.errorf(err, "reading config of %s", desc.Digest)
	}
	image := AttestedImage{Part: parts[0]}
	found, err := r.referrers(ctx, desc.Digest, attestationArtifact)
	if err != nil {
		return nil, err
	}
	for _, d := range found {
		if err := r.statements(ctx, d, predicateType, &image); err != nil {
			return nil, err
		}
	}
	return &Attested{Digest: desc.Digest, Images: []AttestedImage{image}}, nil
}

// statements adds those of an attestation manifest.
func (r *Reader) statements(ctx context.Context, desc v1.Descriptor, predicateType string, to *AttestedImage) error {
	m, err := r.manifest(ctx, desc)
	if err != nil {
		return err
	}
	for _, l := range m.Layers {
		if !states(l, predicateType) {
			if l.MediaType != inTotoType {
				to.files = append(to.files, l)
			}
			continue
		}
		data, err := r.blob(ctx, l)
		if err != nil {
			return err
		}
		to.Statements = append(to.Statements, data)
	}
	return nil
}

// File reads what is kept beside the statements about an image that Attested gave: nil
// if nothing of that digest is.
func (r *Reader) File(ctx context.Context, image AttestedImage, digest v1.Hash) ([]byte, error) {
	for _, f := range image.files {
		if f.Digest == digest {
			return r.blob(ctx, f)
		}
	}
	return nil, nil
}

// states tells whether a layer may be a statement of the type. Docker's manifests have
// no annotations.
func states(l v1.Descriptor, predicateType string) bool {
	kind := l.Annotations[annotationPredicateType]
	return (kind == predicateType || kind == "") && l.MediaType == inTotoType
}

// Referrers reads the artifacts of a type whose subject is a manifest: of each, its
// first layer. A registry without a referrers API is asked for the tag that stands in
// for it.
func (r *Reader) Referrers(ctx context.Context, subject v1.Hash, artifactType string) ([][]byte, error) {
	found, err := r.referrers(ctx, subject, artifactType)
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for _, d := range found {
		m, err := r.manifest(ctx, d)
		if err != nil {
			return nil, err
		}
		if m.ArtifactType != artifactType || len(m.Layers) == 0 {
			continue
		}
		data, err := r.blob(ctx, m.Layers[0])
		if err != nil {
			return nil, err
		}
		out = append(out, data)
	}
	return out, nil
}

// ListsReferrers tells whether the registry is known to have a referrers API.
func (r *Reader) ListsReferrers(ctx context.Context, subject v1.Hash) bool {
	m, err := r.conn.listed(ctx, subject)
	return err == nil && m != nil
}

func (r *Reader) referrers(ctx context.Context, subject v1.Hash, artifactType string) ([]v1.Descriptor, error) {
	ref := r.conn.repo.Digest(subject.String())
	var found []v1.Descriptor
	err := r.conn.retry.do(ctx, func(ctx context.Context) error {
		m, err := r.conn.referrersOf(ctx, subject)
		if m != nil {
			found = slices.DeleteFunc(m.Manifests, func(d v1.Descriptor) bool { return !maybe(d, artifactType) })
		}
		return err
	})
	return found, r.conn.errorf(err, "looking for what refers to %s", ref)
}

// maybe tells whether a descriptor that a registry lists may be of an artifact of the
// type. Some registries list the type of the configuration instead, or none.
func maybe(d v1.Descriptor, artifactType string) bool {
	return d.ArtifactType == artifactType || d.ArtifactType == "" || d.ArtifactType == ocispecs.MediaTypeEmptyJSON
}

func (r *Reader) get(ctx context.Context, ref name.Reference) (*remote.Descriptor, error) {
	var desc *remote.Descriptor
	err := r.conn.retry.do(ctx, func(ctx context.Context) (err error) {
		desc, err = r.conn.puller.Get(ctx, ref)
		return err
	})
	return desc, r.conn.errorf(err, "reading %s", ref)
}

func (r *Reader) manifest(ctx context.Context, desc v1.Descriptor) (*v1.Manifest, error) {
	ref := r.conn.repo.Digest(desc.Digest.String())
	got, err := r.get(ctx, ref)
	if err != nil {
		return nil, err
	}
	img, err := got.Image()
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", ref, err)
	}
	m, err := img.Manifest()
	return m, r.conn.errorf(err, "reading %s", ref)
}

func (r *Reader) blob(ctx context.Context, desc v1.Descriptor) ([]byte, error) {
	var data []byte
	err := r.conn.retry.do(ctx, func(ctx context.Context) (err error) {
		data, err = r.conn.readAll(ctx, desc)
		return err
	})
	return data, err
}
