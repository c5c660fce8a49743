package testsuite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	gateway "github.com/moby/buildkit/frontend/gateway/client"
	digest "github.com/opencontainers/go-digest"

	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/testsuite/helper/protocol"
)

// A test that has services is a step of the build as any other: the daemon's cache
// decides whether it is executed. If it is, the helper in it connects to a socket of the
// session, and waits. That is the doorbell: only then there are services.

// crashGrace is how long a test may go on without a service that has crashed, to say what
// it makes of that.
const crashGrace = 10 * time.Second

// maxTries is how often a test is executed that does not see its services.
const maxTries = 5

// socket answers the connections of tests.
func (s *Suite) socket(id string) func(context.Context, io.ReadWriter) error {
	if f, ok := s.forward(id); ok {
		return f.serve
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.runs {
		if len(r.services) > 0 && r.doorbell() == id {
			return func(ctx context.Context, rw io.ReadWriter) error { return s.answer(ctx, r, rw) }
		}
	}
	return nil
}

// doorbell is the ID of the socket, which travels in the header of a request, where not
// everything may be.
func (r *run) doorbell() string {
	return "seatrial/doorbell/" + digest.FromString(r.secret()).Encoded()
}

// answer is what happens at the door of one execution.
func (s *Suite) answer(ctx context.Context, r *run, rw io.ReadWriter) error {
	conn := protocol.NewConn(rw)
	hello, err := conn.Receive()
	if err == nil && hello.Hello == nil {
		err = errors.New("it did not say hello")
	}
	if err != nil {
		return fmt.Errorf("listening to test %q: %w", r.title(), err)
	}
	s.mu.Lock()
	rings := r.rings
	s.mu.Unlock()
	if rings == nil || !rings.enter() {
		return conn.Send(protocol.Message{Abort: &protocol.Abort{Reason: "nobody waits for this test any more"}})
	}
	defer rings.busy.Done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(rings.ctx, func() { cancel(context.Cause(rings.ctx)) })()
	return rings.attend(ctx, conn, hello.Hello.Volumes)
}

// rings are those for one solve of a test, which may be executed or not.
type rings struct {
	suite *Suite
	trial *llb.Trial
	run   *run
	ctx   context.Context
	leave context.CancelCauseFunc

	mu     sync.Mutex
	closed bool
	count  int
	stack  *stack // of the last one
	busy   sync.WaitGroup
}

// enter counts a ring, unless the solve is over.
func (g *rings) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.count++
	g.busy.Add(1)
	return true
}

// close returns when all services have ended.
func (g *rings) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.leave(errNotNeeded)
	g.busy.Wait()
}

// attend starts the services, lets the test go, and stays until it has ended, or nobody
// waits for it.
func (g *rings) attend(ctx context.Context, conn *protocol.Conn, shelter string) error {
	k, err := newStack(g.suite, g.trial, g.run, shelter)
	if err != nil {
		return conn.Send(protocol.Message{Abort: &protocol.Abort{Reason: err.Error()}})
	}
	g.mu.Lock()
	g.stack.discard()
	g.stack = k
	g.mu.Unlock()
	starting, stop := context.WithCancelCause(ctx)
	started := make(chan error, 1)
	up := make(chan struct{})
	go func() { defer close(up); started <- k.start(starting) }()
	defer func() {
		stop(errNotNeeded)
		<-up
		k.stop(ctx)
	}()
	said := make(chan protocol.Message)
	go func() {
		defer close(said)
		for {
			m, err := conn.Receive()
			if err != nil {
				return
			}
			select {
			case said <- m:
			case <-ctx.Done():
				return
			}
		}
	}()
	return g.converse(ctx, k, conn, started, said)
}

// converse is what is said while the services are there.
func (g *rings) converse(ctx context.Context, k *stack, conn *protocol.Conn, started <-chan error, said <-chan protocol.Message) error {
	var late <-chan time.Time
	running := false
	for {
		select {
		case err := <-started:
			if err == nil {
				err = k.verify()
			}
			if err == nil {
				k.mu.Lock()
				k.running = true
				k.mu.Unlock()
				running = true
				err = conn.Send(protocol.Message{Go: &protocol.Go{Listen: listenInTest(g.run.view, k.id, k.services, g.run.test.DependsOn), Volumes: k.volumes(g.run.test.Mounts), Sees: k.visible()}})
			} else {
				err = g.abort(conn, err)
			}
			if err != nil {
				return err
			}
		case c := <-k.crashed:
			if !running {
				continue // start tells
			}
			_ = k.fail(c, fmt.Errorf("%s while the test ran", c.exited()))
			if late == nil {
				late = time.After(crashGrace)
			}
		case <-late:
			late = nil
			if err := g.abort(conn, k.failure()); err != nil {
				return err
			}
		case m, more := <-said:
			if !more {
				return nil
			}
			if m.Exit != nil {
				k.mu.Lock()
				k.apart = m.Exit.Error == protocol.Apart
				k.mu.Unlock()
				if len(k.shared) > 0 { // which the helper is going to remove
					k.stop(ctx)
				}
				return conn.Send(protocol.Message{Bye: &protocol.Bye{}})
			}
		case <-ctx.Done():
			return g.abort(conn, context.Cause(ctx))
		}
	}
}

// abort has the helper say why the test does not go on.
func (g *rings) abort(conn *protocol.Conn, why error) error {
	reason := []byte(why.Error())
	if g.suite.Redact != nil {
		reason = g.suite.Redact(reason)
	}
	return conn.Send(protocol.Message{Abort: &protocol.Abort{Reason: string(reason)}})
}

// solve solves the graph of a run, by how, with its services if it is executed.
func (s *Suite) solve(ctx context.Context, t *llb.Trial, r *run, how func(context.Context, *llb.Graph) (gateway.Reference, error)) (gateway.Reference, error) {
	s.mu.Lock()
	r.asked = 0
	s.mu.Unlock()
	// That a command was executed is known without asking the daemon, which takes two
	// round trips, if its time limit was asked for: that happens when it is about to
	// start. Where another build had the same command executed at the same time, that
	// one may have been asked instead.
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		r.ranNow = r.asked > 0 && len(r.graph.Commands) == 1
	}()
	if len(r.services) == 0 {
		return how(ctx, r.graph)
	}
	for tries := 1; ; tries++ {
		g := &rings{suite: s, trial: t, run: r}
		g.ctx, g.leave = context.WithCancelCause(ctx)
		s.mu.Lock()
		r.rings = g
		s.mu.Unlock()
		ref, err := how(ctx, r.graph)
		g.close()
		// Another build has had the same test executed, with services of its own, and may have
		// ended them when its part was over: what failed was not this test. Nor is it where a
		// builder that many builds use at once has made the directory of the sockets twice.
		code := exitCode(err)
		foreign := g.count == 0 && (code == protocol.ExitHelper || code >= 0 && len(r.graph.Commands) == 1)
		if err != nil && (foreign && tries == 1 || g.stack.isApart() && tries < maxTries) && ctx.Err() == nil {
			again, aerr := t.Again(r.graph, err, r.attempts+1)
			if aerr != nil {
				return nil, aerr
			}
			s.mu.Lock()
			r.graph = again
			s.mu.Unlock()
			continue
		}
		if failed := g.stack.failure(); err == nil && failed != nil {
			return ref, failed
		}
		return ref, err
	}
}

// stack are the services of the last execution, nil if there was none.
func (r *run) stack() *stack {
	if r.rings == nil {
		return nil
	}
	return r.rings.stack
}

// discard gives back what is kept of the services' output.
func (r *run) discard() { r.stack().discard() }
