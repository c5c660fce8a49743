package llb

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	bkllb "github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
)

// contextUnion makes several definitions load one and the same build context, and
// one of each named context.
//
// The converter asks only for the paths that the stages of its one target COPY,
// so an image and its test stage would otherwise load two different contexts:
// two transfers, and every vertex behind them built twice side by side.
type contextUnion map[string]*pathUnion

type pathUnion struct {
	all   bool // some target takes the whole context
	paths []string
}

// add takes the context paths that def loads into the union.
func (u contextUnion) add(def *bkllb.Definition) error {
	for _, dt := range def.Def {
		var op pb.Op
		if err := op.UnmarshalVT(dt); err != nil {
			return fmt.Errorf("reading LLB: %w", err)
		}
		src := op.GetSource()
		if src == nil || !isContext(src) {
			continue
		}
		p := u[src.Identifier]
		if p == nil {
			p = &pathUnion{}
			u[src.Identifier] = p
		}
		if err := p.add(src); err != nil {
			return err
		}
	}
	return nil
}

func (p *pathUnion) add(src *pb.SourceOp) error {
	follow, ok := src.Attrs[pb.AttrFollowPaths]
	if !ok {
		p.all = true
		return nil
	}
	var paths []string
	if err := json.Unmarshal([]byte(follow), &paths); err != nil {
		return fmt.Errorf("reading LLB: followed paths %s: %w", follow, err)
	}
	p.paths = append(p.paths, paths...)
	slices.Sort(p.paths)
	p.paths = slices.Compact(p.paths)
	return nil
}

// isContext tells the load of a context from that of its .dockerignore by the hint.
func isContext(src *pb.SourceOp) bool {
	hint := src.Attrs[pb.AttrSharedKeyHint]
	if src.Identifier == "local://"+dockerui.DefaultLocalNameContext {
		return hint == dockerui.DefaultLocalNameContext
	}
	return strings.HasPrefix(src.Identifier, "local://") && strings.HasPrefix(hint, "context:") &&
		!strings.HasSuffix(hint, "-"+dockerui.DefaultDockerignoreName)
}

// set changes src, if it is a context, to load the union, and tells whether that
// was a change.
func (u contextUnion) set(src *pb.SourceOp) (bool, error) {
	p := u[src.Identifier]
	if p == nil || !isContext(src) {
		return false, nil
	}
	before, had := src.Attrs[pb.AttrFollowPaths]
	if p.all {
		delete(src.Attrs, pb.AttrFollowPaths)
		return had, nil
	}
	after, err := json.Marshal(p.paths)
	if err != nil {
		return false, err
	}
	src.Attrs[pb.AttrFollowPaths] = string(after)
	return before != string(after), nil
}

// apply is def with its contexts replaced.
func (u contextUnion) apply(def *bkllb.Definition) (*bkllb.Definition, error) {
	return rewrite(def, func(_ digest.Digest, op *pb.Op) (bool, error) {
		if src := op.GetSource(); src != nil {
			return u.set(src)
		}
		return false, nil
	})
}
