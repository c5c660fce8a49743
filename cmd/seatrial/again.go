package main

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/seatrial/seatrial/cmd/internal/buildkitd"
	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/registry"
)

const (
	// maxSolves bounds how often an image is built that is gone before it was
	// pushed.
	maxSolves = 3

	// backWithin is how long a builder may take to come back.
	backWithin = time.Minute
	backPoll   = 250 * time.Millisecond
)

// solvePatiently is solveOnce, and once more if the image was lost on its way to the
// registries: a builder has pruned a layer, or was restarted. What is cached is there
// at once, and what was pushed is not sent again. If the image is another one then, its
// tests and its push begin anew.
func (p *plan) solvePatiently(ctx context.Context, shares []*share, build llb.Options, ship *shipping, d *delivery) error {
	suite := p.suite
	for n := 1; ; n++ {
		if suite != nil {
			p.suite = suite.Another()
		}
		d.suites, ship.passed = nil, new(atomic.Int32)
		err := p.solveOnce(ctx, shares, build, ship, d)
		if n == maxSolves || ctx.Err() != nil || !ship.lostImage(err, len(shares)) {
			return err
		}
		done := d.display.step("[push] the builder lost the image: building again")
		for _, s := range shares {
			if !p.regain(ctx, s, d.out) {
				done(err)
				return err
			}
		}
		done(nil)
		d.out.again()
		ship.uploads.again()
	}
}

func (p *plan) solveOnce(ctx context.Context, shares []*share, build llb.Options, ship *shipping, d *delivery) error {
	if len(shares) > 1 {
		return newFleet(p, shares, ship, d).run(ctx, build)
	}
	return p.solve(ctx, shares[0], build, ship, d)
}

// lostImage tells whether err is that a builder no longer has what is to be pushed. One
// that is lost before all its images have passed their tests ends the run: they may be
// the reason.
func (s *shipping) lostImage(err error, images int) bool {
	if s.push == nil {
		return false
	}
	if errors.Is(err, registry.ErrBlobMissing) {
		return true
	}
	var refused *registry.Error
	var gone *lostError
	// That it was cancelled, and not by us, is how a call of a builder ends that dies.
	dropped := lost(err) || errors.Is(err, context.Canceled)
	return int(s.passed.Load()) == images && !errors.As(err, &refused) && (errors.As(err, &gone) || dropped)
}

// regain waits for a builder to answer. One of our own is started again, which nobody
// else does.
func (p *plan) regain(ctx context.Context, s *share, out *outcome) bool {
	ctx, cancel := context.WithTimeout(ctx, backWithin)
	defer cancel()
	for !answers(s.builder) {
		if s.builder.Private {
			return p.restart(ctx, s, out)
		}
		wait := time.NewTimer(backPoll)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return false
		}
	}
	return true
}

// restart gives a private builder that has died back, and gets another one in its place,
// with the same state.
func (p *plan) restart(ctx context.Context, s *share, out *outcome) bool {
	_ = s.builder.Close() // what it leaves behind, the next one clears up
	opt := p.builder
	opt.Addr = buildkitd.Private
	b, err := buildkitd.Connect(ctx, opt)
	if err != nil {
		return false
	}
	out.replaced(s.builder, b)
	s.builder = b
	return true
}

// again forgets a solve that is repeated.
func (o *outcome) again() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.report, o.wrote, o.exportAt = nil, nil, time.Time{}
	o.phases = slices.DeleteFunc(o.phases, func(p phase) bool { return p.Name != "connect" })
}

// again shows what follows as steps of its own.
func (u *uploads) again() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.repos = nil
}
