package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Annotations by which tools find an image in a layout: containerd's, with the
// whole name, and the specification's, with the tag.
const (
	annotationImageName = "io.containerd.image.name"
	annotationRefName   = "org.opencontainers.image.ref.name"
)

// LayoutOptions say how an artifact is named in an OCI image layout. The zero value
// leaves it unnamed.
type LayoutOptions struct {
	// Names are the artifact's names. Default none.
	Names []name.Reference
	// Annotations are added to its descriptor in index.json. Default none.
	Annotations map[string]string
	// Annotate gives more of them, for the digest that they are about. Default
	// nil.
	Annotate func(v1.Hash) map[string]string
}

// layout is where a layout is written to.
type layout interface {
	// blob is called once for each blob, in the order of digests.
	blob(desc v1.Descriptor, r io.Reader) error
	// finish writes what is beside the blobs: index.json for descs, manifest.json
	// if there is a list of images for `docker load`.
	finish(descs []v1.Descriptor, docker []byte) error
}

// WriteArchive writes the artifact to w as a tar of an OCI image layout. Every blob
// is verified on its way.
func WriteArchive(ctx context.Context, w io.Writer, a Artifact, opt LayoutOptions) error {
	return writeLayout(ctx, newTarLayout(w), a, opt, nil)
}

// WriteDockerArchive writes the artifact to w as a tar that `docker load` takes. It
// has to be an image, or an index of a single one, whose attestations are left out.
func WriteDockerArchive(ctx context.Context, w io.Writer, a Artifact, opt LayoutOptions) error {
	img, err := onlyImage(a)
	if err != nil {
		return err
	}
	docker, err := dockerManifest(img, opt.Names)
	if err != nil {
		return err
	}
	return writeLayout(ctx, newTarLayout(w), img, opt, docker)
}

// WriteLayout writes the artifact into dir as an OCI image layout. If there is one,
// the artifact is added to it, and takes the names from what has them there; without
// a name it is called latest. An error leaves the layout as it was, with some blobs
// more.
func WriteLayout(ctx context.Context, dir string, a Artifact, opt LayoutOptions) error {
	l, err := newDirLayout(dir)
	if err != nil {
		return err
	}
	return writeLayout(ctx, l, a, opt, nil)
}

func writeLayout(ctx context.Context, l layout, a Artifact, opt LayoutOptions, docker []byte) error {
	t, err := newTree(a)
	if err != nil {
		return err
	}
	blobs, err := t.layoutBlobs()
	if err != nil {
		return err
	}
	for _, digest := range slices.SortedFunc(maps.Keys(blobs), byDigest) {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := writeBlob(l, blobs[digest]); err != nil {
			return fmt.Errorf("writing blob %s: %w", digest, err)
		}
	}
	desc := v1.Descriptor{
		MediaType: t.root.mediaType, Digest: t.root.digest, Size: int64(len(t.root.raw)), Annotations: opt.Annotations,
	}
	if opt.Annotate != nil {
		for k, v := range opt.Annotate(desc.Digest) {
			desc.Annotations = withAnnotation(desc.Annotations, k, v)
		}
	}
	if img, ok := a.(v1.Image); ok {
		config, err := img.ConfigFile()
		if err != nil {
			return err
		}
		desc.Platform = config.Platform()
	}
	return l.finish(named(desc, opt.Names), docker)
}

func byDigest(a, b v1.Hash) int { return strings.Compare(a.String(), b.String()) }

// layoutBlob is one blob of a layout and where it comes from.
type layoutBlob struct {
	desc v1.Descriptor
	open func() (io.ReadCloser, error)
}

// layoutBlobs are the artifact's blobs, manifests among them.
func (t *tree) layoutBlobs() (map[v1.Hash]layoutBlob, error) {
	out := map[v1.Hash]layoutBlob{}
	for _, m := range slices.Concat(slices.Concat(t.below...), []*manifest{t.root}) {
		out[m.digest] = layoutBlob{
			desc: v1.Descriptor{Digest: m.digest, Size: int64(len(m.raw))},
			open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(m.raw)), nil },
		}
	}
	for _, l := range t.blobs {
		desc, err := partial.Descriptor(l)
		if err != nil {
			return nil, err
		}
		out[desc.Digest] = layoutBlob{desc: *desc, open: l.Compressed}
	}
	return out, nil
}

func writeBlob(l layout, b layoutBlob) error {
	r, err := b.open()
	if err != nil {
		return err
	}
	defer r.Close()
	return l.blob(b.desc, r)
}

// copyVerified copies r and makes sure that it was what the digest names.
func copyVerified(w io.Writer, r io.Reader, desc v1.Descriptor) error {
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, sum), io.LimitReader(r, desc.Size+1))
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); n != desc.Size || got != desc.Digest.Hex {
		return fmt.Errorf("content hashes to sha256:%s (%d of %d bytes)", got, n, desc.Size)
	}
	return nil
}

// named is desc once for each name.
func named(desc v1.Descriptor, names []name.Reference) []v1.Descriptor {
	if len(names) == 0 {
		return []v1.Descriptor{desc}
	}
	out := make([]v1.Descriptor, 0, len(names))
	for _, n := range names {
		one := desc
		one.Annotations = withAnnotation(desc.Annotations, annotationImageName, imageName(n))
		one.Annotations[annotationRefName] = n.Identifier()
		out = append(out, one)
	}
	return out
}

// withAnnotation is a copy of annotations with one more.
func withAnnotation(annotations map[string]string, key, value string) map[string]string {
	out := map[string]string{key: value}
	for k, v := range annotations {
		if k != key {
			out[k] = v
		}
	}
	return out
}

// imageName is a name as containerd and Docker have it.
func imageName(ref name.Reference) string {
	if rest, ok := strings.CutPrefix(ref.Name(), name.DefaultRegistry+"/"); ok {
		return "docker.io/" + rest
	}
	return ref.Name()
}

// onlyImage is the artifact, or the image that is the only one in it.
func onlyImage(a Artifact) (v1.Image, error) {
	if img, ok := a.(v1.Image); ok {
		return img, nil
	}
	idx, ok := a.(v1.ImageIndex)
	if !ok {
		return nil, fmt.Errorf("reading artifact: neither an image nor an index")
	}
	manifest, err := idx.IndexManifest()
	if err != nil {
		return nil, err
	}
	images := slices.DeleteFunc(slices.Clone(manifest.Manifests), func(d v1.Descriptor) bool {
		return d.Annotations[annotationReferenceType] != ""
	})
	if len(images) != 1 || images[0].MediaType != types.OCIManifestSchema1 && images[0].MediaType != types.DockerManifestSchema2 {
		return nil, fmt.Errorf("writing an archive for docker load: it holds one image, and the index has %d", len(images))
	}
	return idx.Image(images[0].Digest)
}

// annotationReferenceType is what BuildKit puts at manifests that attest something of
// another one in the same index.
const annotationReferenceType = "vnd.docker.reference.type"
