package registry

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Referrer is a small artifact that refers to an image or index, its subject.
type Referrer struct {
	Type        string // of the artifact and of its only layer
	Data        []byte
	Annotations map[string]string // default none
}

// Refer puts a referrer of an artifact into a repository. The artifact itself may
// come later. Where there is no referrers API, the tag that stands in for it is
// extended, and returned: two writers at the same time can lose one's word there.
func Refer(ctx context.Context, repo name.Repository, subject Artifact, r Referrer, opt Options) (*name.Tag, error) {
	root, err := newManifest(subject)
	if err != nil {
		return nil, err
	}
	e := &envelope{blobs: &memory{blobs: map[v1.Hash][]byte{}}, manifest: v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: r.Type, Annotations: r.Annotations,
		Subject: &v1.Descriptor{MediaType: root.mediaType, Digest: root.digest, Size: int64(len(root.raw))},
	}}
	layer, err := e.blobs.add(types.MediaType(r.Type), r.Data)
	if err != nil {
		return nil, err
	}
	e.manifest.Layers = []v1.Descriptor{layer}
	img, err := e.image(ctx)
	if err != nil {
		return nil, err
	}
	c, err := newNetwork(opt).dial(ctx, repo, []string{repo.Scope(transport.PushScope)})
	if err != nil {
		return nil, err
	}
	t, err := newTree(img)
	if err != nil {
		return nil, err
	}
	return c.refer(ctx, t, root.digest, r)
}

// refer puts the manifest and its blobs, and makes sure that it can be found: it returns
// the tag that this takes, if any.
func (c *conn) refer(ctx context.Context, t *tree, subject v1.Hash, r Referrer) (*name.Tag, error) {
	ref := c.repo.Digest(t.root.digest.String())
	pusher, err := remote.NewPusher(c.options()...)
	if err != nil {
		return nil, err
	}
	for _, blob := range t.blobs {
		err := c.retry.do(ctx, func(ctx context.Context) error { return pusher.Upload(ctx, c.repo, blob) })
		if err != nil {
			return nil, c.errorf(err, "pushing %s", ref)
		}
	}
	var said http.Header
	err = c.retry.do(ctx, func(ctx context.Context) (err error) {
		said, err = c.putAnswer(ctx, ref, t.root)
		return err
	})
	if err != nil {
		return nil, c.errorf(err, "pushing %s", ref)
	}
	if said.Get("OCI-Subject") != "" {
		return nil, nil // the registry has taken note of whom it refers to
	}
	// Some have a list, and do not say so here. With any other answer the tag will do.
	if listed, err := c.listed(ctx, subject); err == nil && listed != nil {
		return nil, nil
	}
	desc := v1.Descriptor{
		MediaType: t.root.mediaType, Digest: t.root.digest, Size: int64(len(t.root.raw)),
		ArtifactType: r.Type, Annotations: r.Annotations,
	}
	err = c.retry.do(ctx, func(ctx context.Context) error { return c.tagReferrer(ctx, subject, desc) })
	tag := ReferrersTag(c.repo, subject)
	return &tag, c.errorf(err, "listing %s under %s", ref, tag)
}

// tagReferrer adds to what is under the tag that stands in for the referrers API.
func (c *conn) tagReferrer(ctx context.Context, subject v1.Hash, desc v1.Descriptor) error {
	m, err := c.taggedReferrers(ctx, subject)
	if err != nil {
		return err
	}
	if m == nil {
		m = &v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	}
	if slices.ContainsFunc(m.Manifests, func(d v1.Descriptor) bool { return d.Digest == desc.Digest }) {
		return nil
	}
	m.Manifests = append(m.Manifests, desc)
	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	_, err = c.put(ctx, ReferrersTag(c.repo, subject), &manifest{raw: raw, mediaType: types.OCIImageIndex})
	return err
}
