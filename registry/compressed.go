package registry

import (
	"context"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// OtherwiseCompressed counts the layers of what Load gave that are compressed in another
// way than wanted (gzip, zstd, estargz or uncompressed), each once, by how they are. One of
// estargz is one of gzip, too. Those of base images do not count, as far as the manifests
// in the store tell which those are.
func OtherwiseCompressed(ctx context.Context, a Artifact, wanted string) map[string]int {
	t, err := newTree(a)
	if err != nil {
		return nil // whoever ships it meets that, too
	}
	out := map[string]int{}
	for _, blob := range t.blobs {
		l, ok := blob.(*layer)
		if !ok {
			continue
		}
		kind := layerCompression(l.desc)
		enough := kind == wanted || kind == estargz && wanted == "gzip"
		if kind != "" && !enough && !l.loader.bases.have(ctx, l.desc.Digest) {
			out[kind]++
		}
	}
	return out
}

// estargz is gzip with a table of contents, of which only an annotation tells.
const (
	estargz       = "estargz"
	tocAnnotation = "containerd.io/snapshot/stargz/toc.digest"
)

// layerCompression is "" for what is no layer.
func layerCompression(desc v1.Descriptor) string {
	if desc.Annotations[tocAnnotation] != "" {
		return estargz
	}
	for suffix, kind := range map[string]string{"tar+gzip": "gzip", "tar.gzip": "gzip", "tar+zstd": "zstd", "tar.zstd": "zstd", ".tar": "uncompressed"} {
		if strings.HasSuffix(string(desc.MediaType), suffix) {
			return kind
		}
	}
	return ""
}

// have tells whether a base is known to have the layer.
func (b *bases) have(ctx context.Context, digest v1.Hash) bool {
	_, ok := b.find(ctx, digest, func(name.Repository) bool { return true })
	return ok
}
