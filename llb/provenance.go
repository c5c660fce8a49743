package llb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/content/proxy"
	controlapi "github.com/moby/buildkit/api/services/control"
	"github.com/moby/buildkit/client"
	provenancetypes "github.com/moby/buildkit/solver/llbsolver/provenance/types"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// Predicate types of provenance: SLSA's, of two versions, one being
// provenancePredicate1.
const (
	annotationPredicateType = "in-toto.io/predicate-type"
	provenancePredicate     = "https://slsa.dev/provenance/"
	provenancePredicate1    = provenancePredicate + "v1"
)

// RecordedProvenance is what the daemon's history has of how the build ref (Result.Ref)
// went, as a predicate of SLSA v0.2: by platform, "" if the build was for one. The
// daemon records it whether or not it is attested of the image. A daemon without a
// history gives nothing, nor does a build that exported nothing.
func RecordedProvenance(ctx context.Context, c *client.Client, ref string) (map[string]*provenancetypes.ProvenancePredicateSLSA02, error) {
	out := map[string]*provenancetypes.ProvenancePredicateSLSA02{}
	if ref == "" {
		return out, nil // it would name all builds
	}
	stream, err := c.ControlClient().ListenBuildHistory(ctx, &controlapi.BuildHistoryRequest{Ref: ref, EarlyExit: true})
	if err != nil {
		return nil, fmt.Errorf("reading the builder's history: %w", err)
	}
	for {
		ev, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the builder's history: %w", err)
		}
		results := ev.GetRecord().GetResults()
		if len(results) == 0 && ev.GetRecord().GetResult() != nil {
			results = map[string]*controlapi.BuildResultInfo{"": ev.Record.Result}
		}
		for platform, res := range results {
			p, err := readProvenance(ctx, c, res)
			if err != nil {
				return nil, err
			}
			if p != nil {
				out[platform] = p
			}
		}
	}
}

// readProvenance is the provenance of one platform, nil if there is none.
func readProvenance(ctx context.Context, c *client.Client, res *controlapi.BuildResultInfo) (*provenancetypes.ProvenancePredicateSLSA02, error) {
	for _, a := range res.GetAttestations() {
		typ := a.Annotations[annotationPredicateType]
		if !strings.HasPrefix(typ, provenancePredicate) {
			continue
		}
		desc := ocispecs.Descriptor{MediaType: a.MediaType, Digest: digest.Digest(a.Digest), Size: a.Size}
		dt, err := content.ReadBlob(ctx, proxy.NewContentStore(c.ContentClient()), desc)
		if err != nil {
			return nil, fmt.Errorf("reading provenance %s: %w", a.Digest, err)
		}
		if typ == provenancePredicate1 {
			var p provenancetypes.ProvenancePredicateSLSA1
			if err := json.Unmarshal(dt, &p); err != nil {
				return nil, fmt.Errorf("reading provenance %s: %w", a.Digest, err)
			}
			return p.ConvertToSLSA02(), nil
		}
		p := &provenancetypes.ProvenancePredicateSLSA02{}
		if err := json.Unmarshal(dt, p); err != nil {
			return nil, fmt.Errorf("reading provenance %s: %w", a.Digest, err)
		}
		return p, nil
	}
	return nil, nil
}
