package llb

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/content/proxy"
	"github.com/moby/buildkit/frontend/attestations"
	"github.com/moby/buildkit/util/attestation"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// subject is what was tried: the image without what is attested of it, which has
// the time of the build in it, and so would make every image a new one.
func (s *solve) subject(ctx context.Context, desc ocispecs.Descriptor) (ocispecs.Descriptor, error) {
	if len(attestations.Filter(s.inputs.attrs)) == 0 {
		return desc, nil
	}
	dt, err := content.ReadBlob(ctx, proxy.NewContentStore(s.client.ContentClient()), desc)
	if err != nil {
		return desc, fmt.Errorf("reading index %s: %w", desc.Digest, err)
	}
	var index ocispecs.Index
	if err := json.Unmarshal(dt, &index); err != nil {
		return desc, fmt.Errorf("reading index %s: %w", desc.Digest, err)
	}
	var images []string
	for _, m := range index.Manifests {
		if m.Annotations[attestation.DockerAnnotationReferenceType] == "" {
			images = append(images, m.Digest.String())
		}
	}
	if len(images) == 1 {
		return ocispecs.Descriptor{Digest: digest.Digest(images[0])}, nil
	}
	return ocispecs.Descriptor{Digest: digest.FromString(strings.Join(images, " "))}, nil
}
