package llb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	controlapi "github.com/moby/buildkit/api/services/control"
	bkllb "github.com/moby/buildkit/client/llb"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	digest "github.com/opencontainers/go-digest"
)

// keyMarks is where a build's record in the daemon's history names the trials that
// the image has passed. A build whose trial failed has a record too, with an error.
const keyMarks = "seatrial.passed"

// memory knows which images passed which trials, from the daemon's history.
//
// The daemon's cache cannot tell. It knows a step by the steps before it, not by
// what they made: when the same steps have made another image (RUN apt-get update,
// built without cache), a trial that passed on the first is in the cache for the
// second.
type memory struct {
	passed map[string]bool // image digest + " " + mark
}

// recall reads the history. A daemon that has none, or is too old to be asked,
// remembers nothing.
func recall(ctx context.Context, c controlapi.ControlClient) *memory {
	m := &memory{passed: map[string]bool{}}
	stream, err := c.ListenBuildHistory(ctx, &controlapi.BuildHistoryRequest{EarlyExit: true})
	if err != nil {
		return m
	}
	for {
		ev, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return m
		}
		if err != nil {
			return &memory{}
		}
		m.add(ev.Record)
	}
}

func (m *memory) add(rec *controlapi.BuildHistoryRecord) {
	if rec == nil || rec.CompletedAt == nil || rec.Error != nil || rec.Result == nil {
		return
	}
	var marks []string
	if json.Unmarshal([]byte(rec.ExporterResponse[keyMarks]), &marks) != nil {
		return
	}
	for _, desc := range rec.Result.Results {
		for _, mark := range marks {
			m.passed[desc.Digest+" "+mark] = true
		}
	}
}

// mark names a trial of this Dockerfile with these options for the history.
func (cv *conversion) mark(name string) string {
	opts := cv.ui.BuildOpts().Opts
	var all strings.Builder
	fmt.Fprintf(&all, "%s\x00%s\x00", name, cv.src.Data)
	for _, k := range slices.Sorted(maps.Keys(opts)) {
		if k != "no-cache" && k != "cache-imports" {
			fmt.Fprintf(&all, "%s=%s\x00", k, opts[k])
		}
	}
	return digest.FromString(all.String()).String()
}

// Passed tells whether a build of the image, as it was exported, succeeded with a
// trial of this name before. It waits for the export.
func (t *Trial) Passed(ctx context.Context, name string) (bool, error) {
	image, err := t.exported.get(ctx)
	if err != nil {
		return false, err
	}
	m, err := t.memory.get(ctx)
	if err != nil {
		return false, err
	}
	return m.passed[image.Digest.String()+" "+t.conversion.mark(name)], nil
}

// Cached tells whether the last step of a graph that was solved came from the
// cache.
func (t *Trial) Cached(ctx context.Context, g *Graph) (bool, error) {
	if len(g.Vertices) == 0 {
		return false, nil
	}
	v, err := t.record.completed(ctx, g.Vertices[len(g.Vertices)-1])
	return v.Cached, err
}

// SolveAnew is Solve without the cache, for the steps that belong to g alone.
func (t *Trial) SolveAnew(ctx context.Context, g *Graph) (gateway.Reference, error) {
	anew := &bkllb.Definition{Def: g.def.Def, Source: g.def.Source, Constraints: g.def.Constraints, Metadata: maps.Clone(g.def.Metadata)}
	for _, dgst := range g.Vertices {
		meta := anew.Metadata[dgst]
		meta.IgnoreCache = true
		anew.Metadata[dgst] = meta
	}
	res, err := t.Client.Solve(ctx, gateway.SolveRequest{Definition: anew.ToPB(), Evaluate: true})
	if err != nil {
		return nil, err
	}
	return res.SingleRef()
}
