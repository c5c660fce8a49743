package registry

import (
	"context"

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
// extended: two writers at the same time can lose one's word there.
func Refer(ctx context.Context, repo name.Repository, subject Artifact, r Referrer, opt Options) error {
	root, err := newManifest(subject)
	if err != nil {
		return err
	}
	e := &envelope{blobs: &memory{blobs: map[v1.Hash][]byte{}}, manifest: v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: r.Type, Annotations: r.Annotations,
		Subject: &v1.Descriptor{MediaType: root.mediaType, Digest: root.digest, Size: int64(len(root.raw))},
	}}
	layer, err := e.blobs.add(types.MediaType(r.Type), r.Data)
	if err != nil {
		return err
	}
	e.manifest.Layers = []v1.Descriptor{layer}
	img, err := e.image(ctx)
	if err != nil {
		return err
	}
	n := newNetwork(opt.Keychain, opt.Transport, opt.Attempts)
	c, err := n.dial(ctx, repo, []string{repo.Scope(transport.PushScope)})
	if err != nil {
		return err
	}
	pusher, err := remote.NewPusher(c.options()...)
	if err != nil {
		return err
	}
	ref := repo.Digest(img.core.desc.Digest.String())
	err = n.retry.do(ctx, func(ctx context.Context) error { return pusher.Push(ctx, ref, img) })
	return c.errorf(err, "pushing %s", ref)
}
