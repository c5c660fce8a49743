package llb

import (
	"encoding/json"
	"fmt"
	"slices"

	bkllb "github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/solver/pb"
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

// contextSource is op as a load of the build context, nil if it is none.
func contextSource(op *pb.Op) *pb.SourceOp {
	if src := op.GetSource(); src != nil && isContext(src) {
		return src
	}
	return nil
}

// isContext tells the load of the context from that of .dockerignore by its hint.
func isContext(src *pb.SourceOp) bool {
	return src.Identifier == "local://"+dockerui.DefaultLocalNameContext && src.Attrs[pb.AttrSharedKeyHint] == dockerui.DefaultLocalNameContext
}

// set changes src, if it is the context, to load the union, and tells whether that
// was a change.
func (u *contextUnion) set(src *pb.SourceOp) (bool, error) {
	if !isContext(src) {
		return false, nil
	}
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

// apply is def with its context replaced.
func (u *contextUnion) apply(def *bkllb.Definition) (*bkllb.Definition, error) {
	return rewrite(def, u.set)
}
