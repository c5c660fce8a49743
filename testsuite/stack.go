package testsuite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/moby/buildkit/identity"
	"golang.org/x/sync/errgroup"

	"github.com/seatrial/seatrial/llb"
)

// stack are the services that were started for one execution of a test.
type stack struct {
	suite     *Suite
	trial     *llb.Trial
	run       *run
	services  []*service
	id        string // of the directory with its sockets
	shelter   string // the name of that with its volumes
	shared    []string
	views     []viewpoint
	instances []*instance
	crashed   chan *instance // that ended, not well, while others still ran

	stopped  sync.Once
	mu       sync.Mutex
	running  bool // the test is
	stopping bool
	apart    bool          // the test did not see what the services saw
	failed   *ServiceError // the first
}

// newStack is for an execution of the test whose helper made the directory shelter.
func newStack(s *Suite, t *llb.Trial, r *run, shelter string) (*stack, error) {
	k := &stack{
		suite: s, trial: t, run: r, services: r.services, id: identity.NewID(), shelter: shelter, shared: r.test.shared(),
		crashed: make(chan *instance, len(r.services)),
	}
	if len(k.shared) > 0 && !shelterName.MatchString(shelter) {
		return nil, fmt.Errorf("the test named no directory for volumes: %q", shelter)
	}
	for _, v := range r.services {
		network := v.Network
		if network == "" {
			network = NetworkNone
		}
		k.views = append(k.views, viewFrom(network, t))
		pattern := ""
		if v.Spec.Ready != nil {
			pattern = v.Spec.Ready.Log
		}
		log, err := newServiceLog(pattern)
		if err != nil {
			k.discard()
			return nil, err
		}
		k.instances = append(k.instances, &instance{
			service: v, stack: k, log: log, code: -1,
			started: make(chan struct{}), ready: make(chan struct{}), ended: make(chan struct{}),
		})
	}
	return k, nil
}

// start starts all services, each once what it waits for has come, and returns when the
// test may begin. Its error is a *ServiceError if it is not ctx's.
func (k *stack) start(ctx context.Context) error {
	eg, ctx := errgroup.WithContext(ctx)
	for _, c := range k.instances {
		eg.Go(func() error {
			err := k.bringUp(ctx, c)
			if err == nil || ctx.Err() != nil {
				return err
			}
			return k.fail(c, err)
		})
	}
	eg.Go(func() error { return k.wait(ctx, k.run.test.DependsOn) })
	return eg.Wait()
}

// bringUp starts one service and waits until it is ready, if anybody wants to know.
func (k *stack) bringUp(ctx context.Context, c *instance) error {
	if err := k.wait(ctx, c.DependsOn); err != nil {
		return err
	}
	if err := c.start(ctx); err != nil {
		return fmt.Errorf("could not be started: %w", err)
	}
	if k.wanted(c, Healthy) {
		if err := c.await(ctx); err != nil {
			return err
		}
		if err := c.listenLate(ctx); err != nil {
			return err
		}
		close(c.ready)
	}
	if !k.wanted(c, Completed) {
		return nil
	}
	select {
	case <-c.ended:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if c.crashed() {
		return errors.New(c.exited())
	}
	return nil
}

// visible is a socket that the test sees if it sees the directory that the services see; ""
// if it reaches none that is ready.
func (k *stack) visible() string {
	for _, c := range k.instances {
		if k.wanted(c, Healthy) && !k.run.view.direct(c.service) && len(c.Spec.Ports) > 0 {
			return meshSocket(k.id, c.index, c.Spec.Ports[0])
		}
	}
	return ""
}

func (k *stack) isApart() bool {
	if k == nil {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.apart
}

// wanted tells whether anybody waits for c to be so. The test does, for all services to be
// ready, unless it says what for.
func (k *stack) wanted(c *instance, want Condition) bool {
	is := func(dep Dependency) bool {
		return dep.Service == c.Name && (dep.Condition == want || dep.Condition == "" && want == Healthy)
	}
	if len(k.run.test.DependsOn) == 0 && want == Healthy && !k.wantedByServices(c, Completed) {
		return true
	}
	if slices.ContainsFunc(k.run.test.DependsOn, is) {
		return true
	}
	return k.wantedByServices(c, want)
}

func (k *stack) wantedByServices(c *instance, want Condition) bool {
	return slices.ContainsFunc(k.services, func(v *service) bool {
		return slices.ContainsFunc(v.DependsOn, func(dep Dependency) bool {
			return dep.Service == c.Name && (dep.Condition == want || dep.Condition == "" && want == Healthy)
		})
	})
}

// wait waits for dependencies. One that fails ends ctx.
func (k *stack) wait(ctx context.Context, deps []Dependency) error {
	for _, dep := range deps {
		i := slices.IndexFunc(k.instances, func(c *instance) bool { return c.Name == dep.Service })
		if i < 0 {
			continue // optional
		}
		c := k.instances[i]
		reached := c.ready
		switch dep.Condition {
		case Started:
			reached = c.started
		case Completed:
			reached = c.ended
		}
		select {
		case <-reached:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if dep.Condition == Completed && c.crashed() {
			return k.fail(c, errors.New(c.exited()))
		}
	}
	return nil
}

// fail notes why c was of no use; the first reason is that of all others.
func (k *stack) fail(c *instance, err error) error {
	c.mu.Lock()
	if c.cause == nil {
		c.cause = err
	}
	c.mu.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.failed == nil {
		k.failed = &ServiceError{Service: c.Name, Err: err}
	}
	return k.failed
}

// failure is why the services were of no use, nil if they were.
func (k *stack) failure() *ServiceError {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.failed
}

// verify tells, when all services are up, whether they still are.
func (k *stack) verify() error {
	for _, c := range k.instances {
		if c.crashed() {
			return k.fail(c, fmt.Errorf("%s before the test began", c.exited()))
		}
	}
	return nil
}

// over is called when a service has ended.
func (k *stack) over(c *instance) {
	if c.crashed() && !k.isStopping() {
		k.crashed <- c
	}
}

func (k *stack) isStopping() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.stopping
}

// stop ends all services, once. Their output is complete when it returns.
func (k *stack) stop(ctx context.Context) { k.stopped.Do(func() { k.end(ctx) }) }

func (k *stack) end(ctx context.Context) {
	k.mu.Lock()
	k.stopping = true
	k.mu.Unlock()
	var wg sync.WaitGroup
	for _, c := range k.instances {
		wg.Go(func() { c.end(ctx) })
	}
	wg.Wait()
	k.mu.Lock()
	running := k.running
	k.mu.Unlock()
	for _, c := range k.instances {
		if running && c.byItself { // which the daemon may tell late
			_ = k.fail(c, fmt.Errorf("%s while the test ran", c.exited()))
		}
	}
}

// discard gives back what is kept of the output.
func (k *stack) discard() {
	if k == nil {
		return
	}
	for _, c := range k.instances {
		c.log.discard()
	}
}

// shownOfService is how many lines of a service that failed are shown with the test.
const shownOfService = 20

// tails are the ends of what the services printed that failed.
func (k *stack) tails() []byte {
	if k == nil {
		return nil
	}
	var b strings.Builder
	for _, c := range k.instances {
		c.mu.Lock()
		cause := c.cause
		c.mu.Unlock()
		if cause == nil {
			continue
		}
		fmt.Fprintf(&b, "==> service %q %v", c.Name, cause)
		lines := c.log.tail(shownOfService)
		if len(lines) == 0 {
			b.WriteString("; it printed nothing\n")
			continue
		}
		fmt.Fprintf(&b, "; the end of its output:\n%s\n", strings.Join(lines, "\n"))
	}
	return []byte(b.String())
}

// traceServices adds what there is to say of services that failed.
func (s *Suite) traceServices(tr *trace, k *stack) {
	failed := k.failure()
	if failed == nil {
		return
	}
	text := []byte(failed.Error())
	if s.Redact != nil {
		text = s.Redact(text)
	}
	tr.service = string(text)
	if tr.serviceTail = k.tails(); s.Redact != nil {
		tr.serviceTail = s.Redact(tr.serviceTail)
	}
}

// ofService is why a test failed whose service did.
func (tr *trace) ofService() string {
	switch {
	case tr.code == 0:
		return tr.service + "; the test itself passed"
	case tr.said == "" && tr.code > 0:
		return fmt.Sprintf("%s; the test ended with exit code %d", tr.service, tr.code)
	}
	return tr.service
}
