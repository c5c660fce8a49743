package main

import (
	"context"
	"errors"
	"slices"
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

// solvePatiently is solve, and solve again if the image was lost on its way to the
// registries: the builder has pruned a layer, or was restarted. What is cached is
// there at once, and what was pushed is not sent again. If the image is another one
// then, its tests and its push begin anew.
func (p *plan) solvePatiently(ctx context.Context, s *share, build llb.Options, ship *shipping, d *delivery) error {
	suite := p.suite
	for n := 1; ; n++ {
		if suite != nil {
			p.suite = suite.Another()
		}
		err := p.solve(ctx, s, build, ship, d)
		if n == maxSolves || ctx.Err() != nil || !ship.lostImage(err) {
			return err
		}
		done := d.display.step("[push] the builder lost the image: building again")
		if !isBack(ctx, s.builder) {
			done(err)
			return err
		}
		done(nil)
		d.out.again()
		ship.uploads.again()
	}
}

// lostImage tells whether err is that the builder no longer has what is to be pushed.
// A builder that is lost before the image has passed its tests ends the run: they may
// be the reason.
func (s *shipping) lostImage(err error) bool {
	if s.push == nil {
		return false
	}
	if errors.Is(err, registry.ErrBlobMissing) {
		return true
	}
	var refused *registry.Error
	var gone *lostError
	return s.passed.Load() && !errors.As(err, &refused) && (errors.As(err, &gone) || lost(err))
}

// isBack waits for a builder to answer. Nobody restarts one of our own.
func isBack(ctx context.Context, b *buildkitd.Builder) bool {
	ctx, cancel := context.WithTimeout(ctx, backWithin)
	defer cancel()
	for !answers(b) {
		if b.Private {
			return false
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
