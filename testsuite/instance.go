package testsuite

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"

	"github.com/seatrial/seatrial/testsuite/helper/protocol"
)

const (
	// stopGrace is how long a service may take to end by its signal.
	stopGrace = 700 * time.Millisecond
	// stopLimit is for the daemon to end it after that.
	stopLimit = 2 * time.Second
	// hurry is what there is of both if nobody waits for the test any more: the daemon
	// may have ended all that belonged to the build already, and not answer.
	hurry = 300 * time.Millisecond
)

// instance is a service that was started for a test.
type instance struct {
	*service
	stack *stack
	log   *serviceLog

	ctr    gateway.Container
	proc   gateway.ContainerProcess
	forget context.CancelFunc // the process: nothing more is heard of it
	// Each is closed when it is so.
	started, ready, ended chan struct{}

	mu    sync.Mutex
	code  int   // once it has ended; -1 if that is not known
	cause error // why it failed, to be told with the end of its output
	// byItself tells that it failed before it was told to end, or by being told.
	byItself bool
}

// start has the daemon start the container. ctx is for what comes before that: the
// container lives until end.
func (c *instance) start(ctx context.Context) error {
	req, err := c.container(ctx)
	if err != nil {
		return err
	}
	start, err := c.process()
	if err != nil {
		return err
	}
	// Whatever was made has to be known, to be released.
	lasting := context.WithoutCancel(ctx)
	if c.ctr, err = c.stack.trial.Client.NewContainer(lasting, req); err != nil {
		return fmt.Errorf("creating its container: %w", err)
	}
	lasting, c.forget = context.WithCancel(lasting)
	proc, err := c.ctr.Start(lasting, start)
	if err != nil {
		return fmt.Errorf("starting its container: %w", err)
	}
	c.proc = proc
	go func() {
		err := proc.Wait()
		c.mu.Lock()
		c.code = 0
		if err != nil {
			if c.code = exitCode(err); c.code > 255 {
				c.code = -1 // the daemon's own, of a process that it has lost
			}
			if c.code < 0 && !c.stack.isStopping() {
				c.log.say("%v", err)
			}
		}
		c.mu.Unlock()
		close(c.ended)
		c.stack.over(c)
	}()
	close(c.started)
	return nil
}

// process is the service's own, under the helper.
func (c *instance) process() (gateway.StartRequest, error) {
	links, _ := c.listen(c.stack.views[c.index], c.stack.id, c.stack.services)
	run := protocol.Run{User: c.Spec.User, Stop: int(c.Spec.Signal), Forwards: protocol.Forwards{Listen: links, Export: c.export(c.stack.id)}}
	args, err := protocol.Args(protocol.ModeRun, run, c.Spec.Argv...)
	if err != nil {
		return gateway.StartRequest{}, err
	}
	return gateway.StartRequest{
		Args: args, Env: c.Spec.Env, Cwd: c.Spec.Cwd, SecretEnv: c.secretEnv(), Stdout: c.log, Stderr: c.log,
	}, nil
}

// listenLate has the service reach its peers at ports that it could use itself, now that
// it is known which it does.
func (c *instance) listenLate(ctx context.Context) error {
	_, late := c.listen(c.stack.views[c.index], c.stack.id, c.stack.services)
	if len(late) == 0 {
		return nil
	}
	list, err := c.askPorts(ctx, protocol.Ports{})
	if err != nil {
		return err
	}
	var links []protocol.Forward
	for _, link := range late {
		if list.everywhere(link.Address) {
			c.log.say("%s cannot be reached from here: this service listens at the same port of all addresses", c.nameOf(link.Address))
		} else {
			links = append(links, link)
		}
	}
	if len(links) == 0 {
		return nil
	}
	args, err := protocol.Args(protocol.ModeForward, protocol.Forwards{Listen: links})
	if err != nil {
		return err
	}
	// It ends with the container.
	_, err = c.ctr.Start(context.WithoutCancel(ctx), gateway.StartRequest{Args: args, Cwd: "/", Stdout: c.log, Stderr: c.log})
	return err
}

// nameOf is the peer that an address stands for, with the port.
func (c *instance) nameOf(address string) string {
	for _, peer := range c.stack.services {
		host, port, _ := net.SplitHostPort(address)
		if c.stack.views[c.index].address(peer.index) == host {
			return net.JoinHostPort(peer.Name, port)
		}
	}
	return address
}

// ask runs the helper beside the service, in another mode, and gives out what it prints.
func (c *instance) ask(ctx context.Context, mode string, options any, argv []string, out func([]byte) (int, error)) error {
	args, err := protocol.Args(mode, options, argv...)
	if err != nil {
		return err
	}
	enough := make(chan error, 1)
	proc, err := c.ctr.Start(context.WithoutCancel(ctx), gateway.StartRequest{
		Args: args, Env: c.Spec.Env, Cwd: c.Spec.Cwd, SecretEnv: c.secretEnv(), Stderr: c.log,
		Stdout: writerFunc(func(p []byte) (int, error) {
			if _, err := out(p); err != nil {
				select {
				case enough <- err:
				default: // said before
				}
			}
			return len(p), nil
		}),
	})
	if err != nil {
		return c.orEnded(ctx, fmt.Errorf("could not be asked whether it is ready: %w", err))
	}
	done := make(chan error, 1)
	go func() { done <- proc.Wait() }()
	select {
	case err := <-enough:
		return err
	case err := <-done:
		if err != nil {
			return c.orEnded(ctx, fmt.Errorf("could not be asked whether it is ready: %w", err))
		}
		select {
		case err := <-enough:
			return err
		default:
			return nil
		}
	case <-c.ended:
		return c.endedEarly()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// orEnded is err, unless it came of the end of the service, which is known a little
// later.
func (c *instance) orEnded(ctx context.Context, err error) error {
	timer := time.NewTimer(stopLimit)
	defer timer.Stop()
	select {
	case <-c.ended:
		return c.endedEarly()
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return err
	}
}

func (c *instance) endedEarly() error { return fmt.Errorf("%s before it was ready", c.exited()) }

// exited says how it ended.
func (c *instance) exited() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.code < 0:
		return "was lost"
	case c.code > 128 && c.code < 128+65:
		return fmt.Sprintf("exited with %d (signal %d)", c.code, c.code-128)
	}
	return fmt.Sprintf("exited with %d", c.code)
}

// crashed tells whether it ended, and not well.
func (c *instance) crashed() bool {
	select {
	case <-c.ended:
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.code != 0
	default:
		return false
	}
}

// end stops the service and releases what the daemon holds for it.
func (c *instance) end(ctx context.Context) {
	if c.ctr == nil {
		return
	}
	grace, limit := stopGrace, stopGrace+stopLimit
	if ctx.Err() != nil {
		grace, limit = hurry, 2*hurry
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	told := false
	if c.proc != nil {
		select {
		case <-c.ended:
		default:
			if err := c.proc.Signal(ctx, c.Spec.Signal); err == nil {
				told = true
				wait(ctx, c.ended, grace)
			}
		}
	}
	if c.crashed() && !(told && c.unborn()) {
		c.mu.Lock()
		c.byItself = c.code > 0
		c.mu.Unlock()
	}
	// It says how the process ended, which is known, or that the daemon has ended
	// all that belonged to the build.
	err := c.ctr.Release(ctx)
	if c.proc == nil {
		return
	}
	if err == nil || exitCode(err) >= 0 {
		wait(ctx, c.ended, stopLimit)
	}
	c.forget()
	<-c.ended
}

// unborn tells that it was told to end before the helper was there to hear it: a first
// process in Go that is not listening to a signal yet exits with 2.
func (c *instance) unborn() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.code == 2 && len(c.log.tail(1)) == 0
}

func wait(ctx context.Context, ch <-chan struct{}, limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-ch:
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (c *instance) secretEnv() []*pb.SecretEnv {
	var out []*pb.SecretEnv
	for _, m := range c.Mounts {
		if m.Type == MountSecret && m.Env != "" {
			out = append(out, &pb.SecretEnv{ID: m.ID, Name: m.Env, Optional: m.Optional})
		}
	}
	return out
}

// writerFunc is a function as what the gateway writes to.
type writerFunc func([]byte) (int, error)

// Write implements io.Writer.
func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// Close is for the gateway.
func (writerFunc) Close() error { return nil }

// ServiceError says that a service did not do what a test needs it for.
type ServiceError struct {
	Service string
	Err     error // as "exited with 3"
}

func (e *ServiceError) Error() string { return fmt.Sprintf("service %q %v", e.Service, e.Err) }
func (e *ServiceError) Unwrap() error { return e.Err }

// errNotNeeded ends what still starts.
var errNotNeeded = errors.New("the test does not need it any more")
