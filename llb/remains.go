package llb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	bkllb "github.com/moby/buildkit/client/llb"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
	fstypes "github.com/tonistiigi/fsutil/types"
)

// Tree is a filesystem on the daemon. Paths are absolute.
type Tree interface {
	// ReadDir lists a directory.
	ReadDir(ctx context.Context, req gateway.ReadDirRequest) ([]*fstypes.Stat, error)
	// ReadFile reads a file, or a range of it; at most 16 MiB.
	ReadFile(ctx context.Context, req gateway.ReadRequest) ([]byte, error)
	// StatFile tells of a file, or of a symbolic link.
	StatFile(ctx context.Context, req gateway.StatRequest) (*fstypes.Stat, error)
}

// Output is what a wrapped command left in its OutDir.
type Output struct {
	// Command is the vertex.
	Command digest.Digest
	Tree    Tree
	// Dir is where in Tree it lies.
	Dir string
}

// Remains are what a graph that was solved, well or not, left behind.
type Remains struct {
	// Root is the filesystem that it ended with; after a failure that of the
	// command that failed. Nil if it cannot be had.
	Root Tree
	// Dir is the working directory of the last command.
	Dir string
	// Outputs are those of the commands that were wrapped and are over, in order.
	Outputs []Output

	release []func(context.Context)
}

// Release gives back what the daemon holds for r. Nothing can be read afterwards.
func (r *Remains) Release(ctx context.Context) {
	for _, f := range r.release {
		f(ctx)
	}
}

// Remains are those of g, which Solve returned root or the error failed for. What
// cannot be had is left out.
func (t *Trial) Remains(ctx context.Context, g *Graph, root gateway.Reference, failed error) (*Remains, error) {
	r := &Remains{Dir: g.Dir}
	if failed == nil {
		if root != nil { // nil is scratch
			r.Root = root
		}
		return r, r.addOutputs(ctx, t, g, g.Commands)
	}
	var step *errdefs.SolveError
	if !errors.As(failed, &step) || step.Op.GetExec() == nil {
		return r, nil
	}
	exec, command := step.Op.GetExec(), g.ran(failed)
	// Fewer IDs than mounts: it failed before it could start.
	if command == "" || len(step.MountIDs) < len(exec.Mounts) {
		return r, nil
	}
	r.Dir = exec.Meta.Cwd
	if err := r.addOutputs(ctx, t, g, g.before(command)); err != nil {
		return r, err
	}
	out, wrapped := g.outputs[command]
	for i, m := range exec.Mounts {
		isOut := wrapped && m.Output == int64(out)
		if m.Dest != pb.RootMount && !isOut || step.MountIDs[i] == "" {
			continue
		}
		tree, err := r.open(ctx, t, step.MountIDs[i])
		if err != nil {
			return r, err
		}
		if isOut {
			r.Outputs = append(r.Outputs, Output{Command: command, Tree: tree, Dir: m.Selector})
		} else {
			r.Root = tree
		}
	}
	return r, nil
}

// open has the daemon show what a failed step left in a mount. No process is started.
func (r *Remains) open(ctx context.Context, t *Trial, id string) (Tree, error) {
	ctr, err := t.Client.NewContainer(ctx, gateway.NewContainerRequest{
		Mounts: []gateway.Mount{{Dest: pb.RootMount, ResultID: id, MountType: pb.MountType_BIND}},
	})
	if err != nil {
		return nil, fmt.Errorf("opening the filesystem of a failed step: %w", err)
	}
	r.release = append(r.release, func(ctx context.Context) { _ = ctr.Release(ctx) })
	return containerTree{ctr}, nil
}

// addOutputs solves for the outputs of commands that have ended well.
func (r *Remains) addOutputs(ctx context.Context, t *Trial, g *Graph, commands []digest.Digest) error {
	for _, command := range commands {
		index, ok := g.outputs[command]
		if !ok {
			continue
		}
		def, err := g.output(command, index)
		if err != nil {
			return err
		}
		t.mu.Lock()
		t.tried = append(t.tried, def) // a cache without it would have the command run again
		t.mu.Unlock()
		res, err := t.Client.Solve(ctx, gateway.SolveRequest{Definition: def.ToPB(), CacheImports: t.imports})
		if err != nil {
			return err
		}
		ref, err := res.SingleRef()
		if err != nil {
			return err
		}
		if ref != nil {
			r.Outputs = append(r.Outputs, Output{Command: command, Tree: ref, Dir: emptyDirName})
		}
	}
	return nil
}

// output is g ended at one output of one command.
func (g *Graph) output(command digest.Digest, index pb.OutputIndex) (*bkllb.Definition, error) {
	need, err := g.ancestors(command)
	if err != nil {
		return nil, err
	}
	def := &bkllb.Definition{Metadata: maps.Clone(g.def.Metadata), Source: g.def.Source, Constraints: g.def.Constraints}
	for _, dt := range g.def.Def {
		if dgst := digest.FromBytes(dt); dgst == command || need[dgst] {
			def.Def = append(def.Def, dt)
		}
	}
	end, err := (&pb.Op{Inputs: []*pb.Input{{Digest: string(command), Index: int64(index)}}}).MarshalVT()
	if err != nil {
		return nil, fmt.Errorf("marshalling LLB: %w", err)
	}
	def.Def = append(def.Def, end)
	return def, nil
}

// ancestors are the vertices that one needs.
func (g *Graph) ancestors(of digest.Digest) (map[digest.Digest]bool, error) {
	need := map[digest.Digest]bool{of: true}
	for _, dt := range slices.Backward(g.def.Def) { // inputs come before what needs them
		if !need[digest.FromBytes(dt)] {
			continue
		}
		op, err := readOp(dt)
		if err != nil {
			return nil, err
		}
		for _, in := range op.Inputs {
			need[digest.Digest(in.Digest)] = true
		}
	}
	delete(need, of)
	return need, nil
}

// before are the commands that must have ended well for this one to run.
func (g *Graph) before(command digest.Digest) []digest.Digest {
	need, err := g.ancestors(command)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(g.Commands), func(dgst digest.Digest) bool { return !need[dgst] })
}

// ran is the command of g that failed; "" if it is none of g's own. Of one that another
// build has at work as well, the daemon tells by that build's name for it.
func (g *Graph) ran(failed error) digest.Digest {
	var vertex *errdefs.VertexError
	if !errors.As(failed, &vertex) {
		return ""
	}
	dgst := digest.Digest(vertex.Digest)
	for _, command := range g.Commands {
		if command == dgst || ignoringCache(command) == dgst {
			return command
		}
	}
	var step *errdefs.SolveError
	if !errors.As(failed, &step) {
		return ""
	}
	theirs := step.Op.GetExec().GetMeta()
	for _, dt := range g.def.Def {
		op, err := readOp(dt)
		if err != nil || !slices.Contains(g.Commands, digest.FromBytes(dt)) {
			continue
		}
		ours := op.GetExec().GetMeta()
		if slices.Equal(ours.GetArgs(), theirs.GetArgs()) && slices.Equal(ours.GetEnv(), theirs.GetEnv()) && ours.GetCwd() == theirs.GetCwd() {
			return digest.FromBytes(dt)
		}
	}
	return ""
}

// containerTree is the only mount of a container.
type containerTree struct{ ctr gateway.Container }

// ReadDir implements Tree.
func (c containerTree) ReadDir(ctx context.Context, req gateway.ReadDirRequest) ([]*fstypes.Stat, error) {
	return c.ctr.ReadDir(ctx, gateway.ReadDirContainerRequest{ReadDirRequest: req})
}

// ReadFile implements Tree.
func (c containerTree) ReadFile(ctx context.Context, req gateway.ReadRequest) ([]byte, error) {
	return c.ctr.ReadFile(ctx, gateway.ReadContainerRequest{ReadRequest: req})
}

// StatFile implements Tree.
func (c containerTree) StatFile(ctx context.Context, req gateway.StatRequest) (*fstypes.Stat, error) {
	return c.ctr.StatFile(ctx, gateway.StatContainerRequest{StatRequest: req})
}
