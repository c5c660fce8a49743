package llb

import (
	"context"
	"fmt"
	"slices"

	"github.com/containerd/platforms"
	bkllb "github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// Wrapper is a program that starts the commands of a trial in their stead.
type Wrapper struct {
	// Program is the filesystem with the program for a platform; nil leaves
	// the commands of that platform as they are.
	Program func(p ocispecs.Platform) *bkllb.State
	// ProgramDir is where it is mounted.
	ProgramDir string
	// Args are put before a command's own.
	Args []string
	// ArgsAs are Args for a command of another user than root, which the program
	// then starts as that user: it is root itself. Default: Args are for all, and
	// the program is the user's as well.
	ArgsAs func(user string) []string
	// OutDir is an empty directory that anybody can write to. What is there at
	// the end can be had from Remains.
	OutDir string
	// Secret is the ID of a secret that is mounted at SecretPath if there is
	// one; its value is in no cache key. "" mounts none.
	Secret, SecretPath string
	// Sockets are agents that are mounted, for every user.
	Sockets []Socket
	// Hosts are names that the commands know beside those of the build. Their
	// addresses are in no cache key.
	Hosts []*pb.HostIP
}

// Socket is an agent and the path at which it is mounted.
type Socket struct{ ID, Path string }

// emptyDir is what OutDir shows: a directory for everybody.
func emptyDir() bkllb.State {
	return bkllb.Scratch().File(bkllb.Mkdir(emptyDirName, 0o777), bkllb.WithCustomName(settleName))
}

const emptyDirName = "/out"

// Wrap is g with its own commands, not those that the image has, started by w.
func (t *Trial) Wrap(ctx context.Context, g *Graph, w Wrapper) (*Graph, error) {
	out, err := marshalSource(ctx, emptyDir())
	if err != nil {
		return nil, err
	}
	sources := []*source{out}
	programs := map[string]*source{}
	for _, p := range g.Platforms {
		st := w.Program(p)
		if st == nil {
			continue
		}
		src, err := marshalSource(ctx, *st)
		if err != nil {
			return nil, err
		}
		programs[platforms.FormatAll(p)] = src
		sources = append(sources, src)
	}
	if len(programs) == 0 {
		return g, nil
	}
	var outputs []int // of the commands, in order; -1 for one that is not wrapped
	wrapped, err := t.Change(g, func(op *pb.Op) error {
		p := platforms.DefaultSpec()
		if op.Platform != nil {
			p = op.Platform.Spec()
		}
		program := programs[platforms.FormatAll(platforms.Normalize(p))]
		if program == nil {
			outputs = append(outputs, -1)
			return nil
		}
		outputs = append(outputs, w.start(op, program, out))
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, src := range sources {
		src.addTo(wrapped.def)
	}
	if wrapped, err = t.graphOf(&Graph{def: wrapped.def, last: g.last}); err != nil {
		return nil, err
	}
	wrapped.outputs = map[digest.Digest]pb.OutputIndex{}
	for i, dgst := range wrapped.Commands {
		if outputs[i] >= 0 {
			wrapped.outputs[dgst] = pb.OutputIndex(outputs[i])
		}
	}
	return wrapped, nil
}

// start has the program start the command of op, and returns the output that OutDir is.
func (w Wrapper) start(op *pb.Op, program, out *source) int {
	exec := op.GetExec()
	args := w.Args
	if user := exec.Meta.User; w.ArgsAs != nil && user != "" && user != "root" && user != "0" {
		args, exec.Meta.User = w.ArgsAs(user), ""
	}
	exec.Meta.Args = slices.Concat(args, exec.Meta.Args)
	output := 0
	for _, m := range exec.Mounts {
		output = max(output, int(m.Output)+1)
	}
	in := int64(len(op.Inputs))
	op.Inputs = append(op.Inputs, &pb.Input{Digest: string(program.digest), Index: program.index}, &pb.Input{Digest: string(out.digest), Index: out.index})
	exec.Mounts = append(exec.Mounts,
		// Not for reading only: the daemon gives up its own error if two steps
		// of a build fail that mount one result so (v0.34: "releasing already
		// released reference").
		&pb.Mount{Input: in, Dest: w.ProgramDir, Output: int64(pb.SkipOutput)},
		&pb.Mount{Input: in + 1, Selector: emptyDirName, Dest: w.OutDir, Output: int64(output)},
	)
	if w.Secret != "" {
		exec.Mounts = append(exec.Mounts, &pb.Mount{
			Input: int64(pb.Empty), Output: int64(pb.SkipOutput), Dest: w.SecretPath, MountType: pb.MountType_SECRET,
			SecretOpt: &pb.SecretOpt{ID: w.Secret, Mode: 0o444, Optional: true},
		})
	}
	for _, socket := range w.Sockets {
		exec.Mounts = append(exec.Mounts, &pb.Mount{
			Input: int64(pb.Empty), Output: int64(pb.SkipOutput), Dest: socket.Path, MountType: pb.MountType_SSH,
			SSHOpt: &pb.SSHOpt{ID: socket.ID, Mode: 0o666},
		})
	}
	exec.Meta.ExtraHosts = append(exec.Meta.ExtraHosts, w.Hosts...)
	return output
}

// source is a filesystem that commands mount.
type source struct {
	def    *bkllb.Definition
	digest digest.Digest
	index  int64
}

func marshalSource(ctx context.Context, st bkllb.State) (*source, error) {
	def, err := st.Marshal(ctx)
	if err != nil {
		return nil, fmt.Errorf("marshalling LLB: %w", err)
	}
	last, err := readOp(def.Def[len(def.Def)-1])
	if err != nil {
		return nil, err
	}
	in := last.Inputs[0]
	return &source{def: def, digest: digest.Digest(in.Digest), index: in.Index}, nil
}

// addTo puts the operations in front of those of def, which need them.
func (s *source) addTo(def *bkllb.Definition) {
	own := s.def.Def[:len(s.def.Def)-1] // without the terminal one
	var fresh [][]byte
	for _, dt := range own {
		dgst := digest.FromBytes(dt)
		if _, known := def.Metadata[dgst]; known {
			continue
		}
		def.Metadata[dgst] = s.def.Metadata[dgst]
		fresh = append(fresh, dt)
	}
	def.Def = slices.Concat(fresh, def.Def)
}
