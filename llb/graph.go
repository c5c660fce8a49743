package llb

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	bkllb "github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/identity"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// Graph is something to solve, and the vertices that belong to it alone.
type Graph struct {
	def *bkllb.Definition
	// Vertices are those that are not part of the image itself, in order.
	Vertices []digest.Digest
	// Commands are the vertices among them that run something.
	Commands []digest.Digest
	// Platforms are those that the commands run on, each once.
	Platforms []ocispecs.Platform
	// Dir is the working directory of the last of all commands, of the image's
	// too; "/" if there is none.
	Dir string

	outputs map[digest.Digest]pb.OutputIndex // of commands that were wrapped
	last    bool                             // only its last command is its own
}

// StageGraph is a stage of the Dockerfile as a graph.
func (t *Trial) StageGraph(st *Stage) (*Graph, error) {
	return t.graph(st.def)
}

// StateGraph is any state that was made from a stage's as a graph.
func (t *Trial) StateGraph(ctx context.Context, st bkllb.State) (*Graph, error) {
	def, err := t.marshal(ctx, st)
	if err != nil {
		return nil, err
	}
	return t.graph(def)
}

// CommandGraph is StateGraph for a state that a command ends: that one alone is the
// graph's own. Those before it make the filesystems that it uses, and are what they are
// for anybody else who uses those.
func (t *Trial) CommandGraph(ctx context.Context, st bkllb.State) (*Graph, error) {
	def, err := t.marshal(ctx, st)
	if err != nil {
		return nil, err
	}
	return t.graphOf(&Graph{def: def, last: true})
}

func (t *Trial) marshal(ctx context.Context, st bkllb.State) (*bkllb.Definition, error) {
	def, err := st.Marshal(ctx)
	if err != nil {
		return nil, fmt.Errorf("marshalling LLB: %w", err)
	}
	return t.union.apply(def)
}

func (t *Trial) graph(def *bkllb.Definition) (*Graph, error) { return t.graphOf(&Graph{def: def}) }

// graphOf completes g from its definition.
func (t *Trial) graphOf(g *Graph) (*Graph, error) {
	g.Dir = "/"
	def := g.def
	for _, dt := range def.Def {
		dgst := digest.FromBytes(dt)
		op, err := readOp(dt)
		if err != nil {
			return nil, err
		}
		exec := op.GetExec()
		if exec != nil && exec.Meta.GetCwd() != "" {
			g.Dir = exec.Meta.Cwd
		}
		if t.built[dgst] || op.Op == nil { // the terminal op is no vertex
			continue
		}
		g.Vertices = append(g.Vertices, dgst)
		if exec != nil {
			g.Commands = append(g.Commands, dgst)
			if op.Platform != nil {
				g.addPlatform(op.Platform.Spec())
			}
		}
	}
	if n := len(g.Commands); g.last && n > 1 {
		g.Commands = g.Commands[n-1:]
	}
	return g, nil
}

func readOp(dt []byte) (*pb.Op, error) {
	var op pb.Op
	if err := op.UnmarshalVT(dt); err != nil {
		return nil, fmt.Errorf("reading LLB: %w", err)
	}
	return &op, nil
}

func (g *Graph) addPlatform(p ocispecs.Platform) {
	p = platforms.Normalize(p)
	same := func(q ocispecs.Platform) bool { return platforms.FormatAll(q) == platforms.FormatAll(p) }
	if !slices.ContainsFunc(g.Platforms, same) {
		g.Platforms = append(g.Platforms, p)
	}
}

// Change is g with its own commands changed, in order, not those that the image has.
func (t *Trial) Change(g *Graph, change func(*pb.Op) error) (*Graph, error) {
	def, err := rewrite(g.def, func(dgst digest.Digest, op *pb.Op) (bool, error) {
		if !slices.Contains(g.Commands, dgst) {
			return false, nil
		}
		return true, change(op)
	})
	if err != nil {
		return nil, err
	}
	changed, err := t.graphOf(&Graph{def: def, last: g.last})
	if err != nil {
		return nil, err
	}
	if len(g.outputs) > 0 { // the commands are in the same order
		changed.outputs = map[digest.Digest]pb.OutputIndex{}
		for i, dgst := range g.Commands {
			if out, ok := g.outputs[dgst]; ok {
				changed.outputs[changed.Commands[i]] = out
			}
		}
	}
	return changed, nil
}

// Again is g for one more try of the command that failed, and what follows it. The
// daemon holds on to what a step came to for as long as a build needs it, be it an error,
// and takes a step with the same cache key for the same. So this try has a key of its own,
// by something in its environment, and a pass is not found again by it.
func (t *Trial) Again(g *Graph, failed error, attempt int) (*Graph, error) {
	if len(g.Commands) == 0 {
		return g, nil
	}
	command, at := g.ran(failed), 0
	if command == "" { // it was not the daemon that said so
		command = g.Commands[len(g.Commands)-1]
	}
	nonce := fmt.Sprintf("SEATRIAL_ATTEMPT=%d.%s", attempt, identity.NewID())
	return t.Change(g, func(op *pb.Op) error {
		if g.Commands[at] == command {
			meta := op.GetExec().Meta
			meta.Env = append(slices.DeleteFunc(meta.Env, func(s string) bool { return strings.HasPrefix(s, "SEATRIAL_ATTEMPT=") }), nonce)
		}
		at++
		return nil
	})
}

// SetEnv is g with more in the environment of its commands.
func (t *Trial) SetEnv(g *Graph, env ...string) (*Graph, error) {
	return t.Change(g, func(op *pb.Op) error {
		meta := op.GetExec().Meta
		meta.Env = append(meta.Env, env...)
		return nil
	})
}
