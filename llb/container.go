package llb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	bkllb "github.com/moby/buildkit/client/llb"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	gatewaypb "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/system"
)

// Container is where a step runs: all its mounts, and what else its command finds. It
// lives no longer than the trial's build.
type Container struct {
	// Args is the command of the step that failed; nil if it is none.
	Args []string

	ctr  gateway.Container
	exec *pb.ExecOp
	root int // the mount
}

// Process is what Container.Run starts, and what that is connected to.
type Process struct {
	// Args is the command.
	Args []string
	// User and Dir, if they are not "", replace those that the step has, and Env, as
	// NAME=VALUE, adds to its environment.
	User, Dir string
	Env       []string

	// Stdin is read until the process is over, and perhaps a little longer.
	// Default: it is empty.
	Stdin io.Reader
	// Stdout and Stderr must not block for long: all processes of a trial wait.
	// Default: nobody is told.
	Stdout, Stderr io.Writer
	// Sizes are those of the terminal that the others are, the present one first.
	// The process gets a terminal then, whose output is all on Stdout. Default: pipes.
	Sizes <-chan gateway.WinSize
}

// ErrNotKept says that the filesystem of a failed step cannot be had: it failed before
// it could start, or it was no command that failed.
var ErrNotKept = errors.New("there is no filesystem of the failed step")

// OpenStage builds a stage, and makes the container that a command at its end would run in.
func (t *Trial) OpenStage(ctx context.Context, st *Stage) (*Container, error) {
	g, err := t.StageGraph(st)
	if err != nil {
		return nil, err
	}
	ref, err := t.Solve(ctx, g)
	if err != nil {
		return nil, err
	}
	op, err := lastCommand(ctx, st.State.Run(append(st.RunOptions(), bkllb.Args([]string{"sh"}))...).Root())
	if err != nil {
		return nil, err
	}
	c := &Container{exec: op.GetExec()}
	return c, c.open(ctx, t, op, func(i int) gateway.Mount {
		if c.exec.Mounts[i].Dest == pb.RootMount {
			return gateway.Mount{Ref: ref}
		}
		return gateway.Mount{} // of the options: none has a filesystem of its own
	})
}

// lastCommand is the operation that a state ends with.
func lastCommand(ctx context.Context, st bkllb.State) (*pb.Op, error) {
	def, err := st.Marshal(ctx)
	if err != nil {
		return nil, fmt.Errorf("marshalling LLB: %w", err)
	}
	for _, dt := range slices.Backward(def.Def) {
		op, err := readOp(dt)
		if err != nil || op.GetExec() != nil {
			return op, err
		}
	}
	return nil, errors.New("marshalling LLB: there is no command") // Run has made one
}

// OpenFailed makes the container of a step of this trial that failed, with all that it
// left in its mounts. err is that of Solve. It returns ErrNotKept if nothing is there.
func (t *Trial) OpenFailed(ctx context.Context, failed error) (*Container, error) {
	var step *errdefs.SolveError
	// Fewer IDs than mounts: it failed before it could start.
	if !errors.As(failed, &step) || step.Op.GetExec() == nil || len(step.MountIDs) < len(step.Op.GetExec().Mounts) {
		return nil, ErrNotKept
	}
	c := &Container{exec: step.Op.GetExec(), Args: step.Op.GetExec().Meta.GetArgs()}
	return c, c.open(ctx, t, step.Op, func(i int) gateway.Mount { return gateway.Mount{ResultID: step.MountIDs[i]} })
}

// open asks the daemon for the container. source is what a mount shows.
func (c *Container) open(ctx context.Context, t *Trial, op *pb.Op, source func(i int) gateway.Mount) error {
	req := gateway.NewContainerRequest{
		NetMode: c.exec.Network, ExtraHosts: c.exec.Meta.GetExtraHosts(), Hostname: c.exec.Meta.GetHostname(),
		Platform: op.Platform, Constraints: op.Constraints,
	}
	for i, m := range c.exec.Mounts {
		mount := source(i)
		mount.Dest, mount.Selector, mount.Readonly = m.Dest, m.Selector, m.Readonly
		mount.MountType, mount.CacheOpt, mount.SecretOpt, mount.SSHOpt = m.MountType, m.CacheOpt, m.SecretOpt, m.SSHOpt
		if m.Dest == pb.RootMount {
			c.root = i
		}
		req.Mounts = append(req.Mounts, mount)
	}
	var err error
	if c.ctr, err = t.Client.NewContainer(ctx, req); err != nil {
		return fmt.Errorf("opening a container: %w", err)
	}
	return nil
}

// Close ends what runs in c.
func (c *Container) Close(ctx context.Context) { _ = c.ctr.Release(ctx) } // its error is that of what it ended

// Has tells whether there is a file of that name in the root filesystem.
func (c *Container) Has(ctx context.Context, name string) bool {
	_, err := c.ctr.StatFile(ctx, gateway.StatContainerRequest{StatRequest: gateway.StatRequest{Path: name}, MountIndex: c.root})
	return err == nil
}

// Finds tells whether the command of p is there: the daemon would say that it is not
// by an exit code like any other.
func (c *Container) Finds(ctx context.Context, p Process) bool {
	name := p.Args[0]
	if strings.Contains(name, "/") {
		dir := p.Dir
		if dir == "" {
			dir = c.exec.Meta.GetCwd()
		}
		if !path.IsAbs(name) {
			name = path.Join("/", dir, name)
		}
		return c.Has(ctx, name)
	}
	dirs := system.DefaultPathEnvUnix
	for _, env := range slices.Concat(c.exec.Meta.GetEnv(), p.Env) {
		if v, ok := strings.CutPrefix(env, "PATH="); ok {
			dirs = v
		}
	}
	return slices.ContainsFunc(strings.Split(dirs, ":"), func(dir string) bool { return c.Has(ctx, path.Join("/", dir, name)) })
}

// Run starts a process, the only one that c can run, and returns its exit code when it
// is over.
func (c *Container) Run(ctx context.Context, p Process) (int, error) {
	meta := c.exec.Meta
	req := gateway.StartRequest{
		Args: p.Args, Env: append(slices.Clone(meta.GetEnv()), p.Env...), SecretEnv: c.exec.Secretenv, User: meta.GetUser(), Cwd: meta.GetCwd(),
		SecurityMode: c.exec.Security, Tty: p.Sizes != nil,
	}
	if p.User != "" {
		req.User = p.User
	}
	if p.Dir != "" {
		req.Cwd = p.Dir
	}
	in := p.Stdin
	if in == nil {
		in = strings.NewReader("")
	}
	req.Stdin, req.Stdout = io.NopCloser(in), nopWriteCloser{orDiscard(p.Stdout)}
	if !req.Tty {
		req.Stderr = nopWriteCloser{orDiscard(p.Stderr)}
	}
	proc, err := c.ctr.Start(ctx, req)
	if err != nil {
		return 0, fmt.Errorf("starting %s: %w", p.Args[0], err)
	}
	over, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		for {
			select {
			case <-over.Done():
				return
			case size := <-p.Sizes:
				_ = proc.Resize(over, size) // it may be over
			}
		}
	}()
	return exitCode(ctx, proc.Wait())
}

func exitCode(ctx context.Context, err error) (int, error) {
	var exit *gatewaypb.ExitError
	switch {
	case err == nil:
		return 0, nil
	case ctx.Err() != nil:
		return 0, context.Cause(ctx)
	case errors.As(err, &exit) && exit.ExitCode != gatewaypb.UnknownExitStatus:
		return int(exit.ExitCode), nil
	}
	return 0, fmt.Errorf("running a process: %w", err)
}

func orDiscard(w io.Writer) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}

type nopWriteCloser struct{ io.Writer }

func (nopWriteCloser) Close() error { return nil }
