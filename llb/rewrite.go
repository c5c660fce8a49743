package llb

import (
	"fmt"

	bkllb "github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
	"google.golang.org/protobuf/proto"
)

// rewrite is def with its operations changed; change is given each, and tells whether
// it changed it. Digests name operations by their bytes, so everything behind a changed
// one is renamed as well.
func rewrite(def *bkllb.Definition, change func(digest.Digest, *pb.Op) (bool, error)) (*bkllb.Definition, error) {
	renamed := map[digest.Digest]digest.Digest{}
	out := &bkllb.Definition{Metadata: map[digest.Digest]bkllb.OpMetadata{}, Constraints: def.Constraints}
	for _, dt := range def.Def {
		before := digest.FromBytes(dt)
		dt, err := rewriteOp(before, dt, renamed, change)
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

func rewriteOp(before digest.Digest, dt []byte, renamed map[digest.Digest]digest.Digest, change func(digest.Digest, *pb.Op) (bool, error)) ([]byte, error) {
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
	did, err := change(before, &op)
	if err != nil {
		return nil, err
	}
	if !changed && !did {
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
