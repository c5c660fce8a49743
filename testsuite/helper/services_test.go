package helper_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	bkllb "github.com/moby/buildkit/client/llb"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/session/sshforward"
	"github.com/moby/buildkit/solver/pb"
	"google.golang.org/grpc"

	"github.com/seatrial/seatrial/testsuite/helper/protocol"
)

// bell is a session's SSH agent that is none: it hands over the connection.
type bell struct{ rings chan net.Conn }

func (b *bell) Register(s *grpc.Server) { sshforward.RegisterSSHServer(s, b) }

func (b *bell) CheckAgent(context.Context, *sshforward.CheckAgentRequest) (*sshforward.CheckAgentResponse, error) {
	return &sshforward.CheckAgentResponse{}, nil
}

func (b *bell) ForwardAgent(stream sshforward.SSH_ForwardAgentServer) error {
	ours, theirs := net.Pipe()
	b.rings <- ours
	return sshforward.Copy(stream.Context(), theirs, stream, nil)
}

const meshID = "seatrial-helper-test"

// A test that is not cached rings for its service, which runs in a container of
// its own with a network of its own, and reaches it at an address of its own.
func TestService(t *testing.T) {
	onEach(t, func(t *testing.T, b *builder) {
		b.bell = &bell{rings: make(chan net.Conn, 1)}
		b.serve = func(ctx context.Context, g gateway.Client) func() {
			ctx, cancel := context.WithCancel(ctx)
			done := make(chan error, 1)
			go func() { done <- b.answer(ctx, g) }()
			return func() {
				cancel()
				if err := <-done; err != nil {
					t.Errorf("serving: %v", err)
				}
			}
		}
		step := []bkllb.RunOption{
			bkllb.AddSSHSocket(bkllb.SSHID("bell"), bkllb.SSHSocketTarget(protocol.DoorbellSocket)),
			bkllb.AddMount(protocol.MeshDir, bkllb.Scratch(), bkllb.AsPersistentCacheDir(meshID, bkllb.CacheMountShared)),
		}
		run := protocol.Run{Name: "unit", Doorbell: protocol.DoorbellSocket, User: "app"}
		got := b.run(t, run, "busybox nc 127.9.8.7 5432 </dev/null", step...)
		if got.exit != 0 || got.log != "served\n" {
			t.Errorf("exit code %d, log %q", got.exit, got.log)
		}
	})
}

// answer starts the service when a test rings, and lets the test go.
func (b *builder) answer(ctx context.Context, g gateway.Client) error {
	var stream net.Conn
	select {
	case stream = <-b.bell.rings:
	case <-ctx.Done():
		return nil
	}
	defer stream.Close()
	conn := protocol.NewConn(stream)
	if m, err := conn.Receive(); err != nil || m.Hello == nil {
		return fmt.Errorf("%+v is no hello: %w", m, err)
	}
	socket := protocol.MeshDir + "/run/db-5432.sock"
	ctr, err := b.service(ctx, g, socket)
	if ctr != nil {
		defer ctr.Release(context.WithoutCancel(ctx)) // says that the service was killed
	}
	if err != nil {
		return errors.Join(err, conn.Send(protocol.Message{Abort: &protocol.Abort{Reason: err.Error()}}))
	}
	if err := conn.Send(protocol.Message{Go: &protocol.Go{Listen: []protocol.Forward{{Address: "127.9.8.7:5432", Socket: socket}}}}); err != nil {
		return err
	}
	if m, err := conn.Receive(); err != nil || m.Exit == nil {
		return fmt.Errorf("%+v is no exit: %w", m, err)
	}
	return conn.Send(protocol.Message{Bye: &protocol.Bye{}})
}

// service starts a service and waits until it listens.
func (b *builder) service(ctx context.Context, g gateway.Client, socket string) (gateway.Container, error) {
	root, err := solveRef(ctx, g, rootfs())
	if err != nil {
		return nil, err
	}
	program, err := solveRef(ctx, g, b.program())
	if err != nil {
		return nil, err
	}
	ctr, err := g.NewContainer(ctx, gateway.NewContainerRequest{NetMode: pb.NetMode_NONE, Mounts: []gateway.Mount{
		{Dest: "/", Ref: root, MountType: pb.MountType_BIND},
		{Dest: protocol.BinDir, Ref: program, MountType: pb.MountType_BIND, Readonly: true},
		{Dest: protocol.MeshDir, MountType: pb.MountType_CACHE, CacheOpt: &pb.CacheOpt{ID: meshID, Sharing: pb.CacheSharingOpt_SHARED}},
	}})
	if err != nil {
		return nil, err
	}
	run := protocol.Run{User: "app", Forwards: protocol.Forwards{Export: []protocol.Forward{{Address: "127.0.0.1:5432", Socket: socket}}}}
	args, err := protocol.Args(protocol.ModeRun, run, "/bin/sh", "-c", "exec busybox nc -ll -p 5432 -e busybox echo served")
	if err != nil {
		return ctr, err
	}
	env := []string{"PATH=/bin"}
	if _, err := ctr.Start(ctx, gateway.StartRequest{Args: args, Env: env, Cwd: "/"}); err != nil {
		return ctr, err
	}
	if args, err = protocol.Args(protocol.ModePorts, protocol.Ports{Want: []int{5432}}); err != nil {
		return ctr, err
	}
	var out bytes.Buffer
	proc, err := ctr.Start(ctx, gateway.StartRequest{Args: args, Env: env, Cwd: "/", Stdout: nopCloser{&out}})
	if err != nil {
		return ctr, err
	}
	if err := proc.Wait(); err != nil {
		return ctr, err
	}
	var list protocol.PortList
	if err := json.Unmarshal(out.Bytes(), &list); err != nil || list.Missing != nil {
		return ctr, fmt.Errorf("the service says %q: %w", out.Bytes(), err)
	}
	return ctr, nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func solveRef(ctx context.Context, g gateway.Client, st bkllb.State) (gateway.Reference, error) {
	def, err := st.Marshal(ctx)
	if err != nil {
		return nil, err
	}
	res, err := g.Solve(ctx, gateway.SolveRequest{Definition: def.ToPB()})
	if err != nil {
		return nil, err
	}
	return res.SingleRef()
}
