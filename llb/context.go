package llb

import (
	"encoding/json"
	"fmt"
	"slices"

	bkllb "github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
	"google.golang.org/protobuf/proto"
)

// contextUnion makes several definitions load one and the same build context.
//
// The converter asks only for the paths that the stages of its one target COPY,
// so an image and its test stage would otherwise load two different contexts:
// two transfers, and every vertex behind them built twice side by side.
type contextUnion struct {
	all   bool // some target takes the whole context
	paths []string
}

// add takes the context paths that def loads into the union.
func (u *contextUnion) add(def *bkllb.Definition) error {
	for _, dt := range def.Def {
		var op pb.Op
		if err := op.UnmarshalVT(dt); err != nil {
			return fmt.Errorf("reading LLB: %w", err)
		}
		src := contextSource(&op)
		if src == nil {
			continue
		}
		follow, ok := src.Attrs[pb.AttrFollowPaths]
		if !ok {
			u.all = true
			continue
		}
		var paths []string
		if err := json.Unmarshal([]byte(follow), &paths); err != nil {
			return fmt.Errorf("reading LLB: followed paths %s: %w", follow, err)
		}
		u.paths = append(u.paths, paths...)
	}
	slices.Sort(u.paths)
	u.paths = slices.Compact(u.paths)
	return nil
}

// contextSource is op as a load of the build context, nil if it is none. The
// hint tells it from the load of .dockerignore.
func contextSource(op *pb.Op) *pb.SourceOp {
	src := op.GetSource()
	if src == nil || src.Identifier != "local://"+dockerui.DefaultLocalNameContext || src.Attrs[pb.AttrSharedKeyHint] != dockerui.DefaultLocalNameContext {
		return nil
	}
	return src
}

// set changes src to load the union and tells whether that was a change.
func (u *contextUnion) set(src *pb.SourceOp) (bool, error) {
	before, had := src.Attrs[pb.AttrFollowPaths]
	if u.all {
		delete(src.Attrs, pb.AttrFollowPaths)
		return had, nil
	}
	after, err := json.Marshal(u.paths)
	if err != nil {
		return false, err
	}
	src.Attrs[pb.AttrFollowPaths] = string(after)
	return before != string(after), nil
}

// apply is def with its context replaced. Digests name operations by their
// bytes, so everything behind the context is renamed as well.
func (u *contextUnion) apply(def *bkllb.Definition) (*bkllb.Definition, error) {
	renamed := map[digest.Digest]digest.Digest{}
	out := &bkllb.Definition{Metadata: map[digest.Digest]bkllb.OpMetadata{}, Constraints: def.Constraints}
	for _, dt := range def.Def {
		before := digest.FromBytes(dt)
		dt, err := u.rewrite(dt, renamed)
		if err != nil {
			return nil, err
		}
		after := digest.FromBytes(dt)
		if after != before {
			renamed[before] = after
		}
		out.Def = append(out.Def, dt)
		if meta, ok := def.Metadata[before]; ok {
			out.Metadata[after] = meta
		}
	}
	out.Source = renameLocations(def.Source, renamed)
	return out, nil
}

func (u *contextUnion) rewrite(dt []byte, renamed map[digest.Digest]digest.Digest) ([]byte, error) {
	var op pb.Op
	if err := op.UnmarshalVT(dt); err != nil {
		return nil, fmt.Errorf("reading LLB: %w", err)
	}
	changed := false
	for _, in := range op.Inputs {
		if to, ok := renamed[digest.Digest(in.Digest)]; ok {
			in.Digest, changed = string(to), true
		}
	}
	if src := contextSource(&op); src != nil {
		set, err := u.set(src)
		if err != nil {
			return nil, err
		}
		changed = changed || set
	}
	if !changed {
		return dt, nil
	}
	// Deterministic, as client/llb marshals: equal operations must stay equal.
	return proto.MarshalOptions{Deterministic: true}.Marshal(&op)
}

func renameLocations(src *pb.Source, renamed map[digest.Digest]digest.Digest) *pb.Source {
	if src == nil {
		return nil
	}
	out := &pb.Source{Infos: src.Infos, Locations: make(map[string]*pb.Locations, len(src.Locations))}
	for dgst, loc := range src.Locations {
		if to, ok := renamed[digest.Digest(dgst)]; ok {
			dgst = string(to)
		}
		out.Locations[dgst] = loc
	}
	return out
}
