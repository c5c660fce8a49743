package main

import (
	"context"
	"errors"
	"sync"

	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/registry"
	"github.com/seatrial/seatrial/testsuite"
)

// fleet has several builders make one image, an index of what each of them made. No
// builder ends its share, and lets go of the layers, before the tags have moved.
type fleet struct {
	plan     *plan
	shares   []*share
	ship     *shipping
	out      *outcome
	delivery *delivery

	arrived chan struct{} // once for each share that passed and was uploaded
	over    chan struct{} // closed when the tags have moved, or nothing will move
	once    sync.Once
	err     error       // why nothing will
	index   *llb.Result // the whole, once it was put together
}

func newFleet(p *plan, shares []*share, ship *shipping, d *delivery) *fleet {
	for _, s := range shares {
		if p.suite != nil {
			s.suite = p.suite.Another()
			d.suites = append(d.suites, s.suite)
		}
	}
	return &fleet{
		plan: p, shares: shares, ship: ship, out: d.out, delivery: d,
		arrived: make(chan struct{}, len(shares)), over: make(chan struct{}),
	}
}

// run solves all shares side by side. A failed test stops no other test, but
// everything else does.
func (f *fleet) run(ctx context.Context, build llb.Options) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var finishing sync.WaitGroup
	finishing.Go(func() { f.finish(ctx) })
	var wg sync.WaitGroup
	for _, s := range f.shares {
		wg.Go(func() {
			opt := build
			opt.Platforms, opt.Index = s.platforms, true
			res, err := f.plan.solveShare(ctx, s, f.shares, opt, f.phases(s))
			s.result = res
			if err = f.plan.classify(err, s.builder, res.Record); err == nil {
				return
			}
			f.settle(err)
			var failed *testsuite.FailedError
			if !errors.As(err, &failed) {
				cancel(err)
			}
		})
	}
	wg.Wait()
	f.settle(context.Cause(ctx))
	finishing.Wait()
	return f.sum()
}

// settle says how it ended; only the first word counts.
func (f *fleet) settle(err error) {
	f.once.Do(func() {
		f.err = err
		close(f.over)
	})
}

func (f *fleet) phases(s *share) llb.Phases {
	ph := f.plan.phases(s.suite)
	ph.Ship = func(ctx context.Context, image *llb.Shipment) error {
		f.out.exported()
		artifact, err := f.ship.load(ctx, image, s.builder)
		if err != nil {
			return err
		}
		if err := f.bring(ctx, image, artifact); err != nil {
			return err
		}
		s.image, s.artifact = image, artifact
		f.arrived <- struct{}{}
		select {
		case <-f.over:
			return f.err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return ph
}

// bring uploads one builder's blobs while its tests run, and returns when they have
// passed.
func (f *fleet) bring(ctx context.Context, image *llb.Shipment, artifact registry.Artifact) error {
	push := f.ship.push
	if push != nil {
		push = push.Another()
	}
	return f.ship.send(ctx, push, image, artifact, f.delivery)
}

// finish puts the index together when every share has arrived, and moves the tags.
func (f *fleet) finish(ctx context.Context) {
	for range f.shares {
		select {
		case <-f.arrived:
		case <-f.over:
			return
		}
	}
	f.settle(f.commit(ctx))
}

func (f *fleet) commit(ctx context.Context) error {
	parts := make([]registry.Artifact, len(f.shares))
	images := make([]*llb.Shipment, len(f.shares))
	for i, s := range f.shares {
		parts[i], images[i] = s.artifact, s.image
	}
	whole, err := registry.Combine(parts...)
	if err != nil {
		return &buildError{err: err}
	}
	f.out.noteCompression(ctx, whole)
	if whole, err = f.delivery.attest(ctx, whole); err != nil {
		return err
	}
	if f.index, err = indexResult(whole); err != nil {
		return err
	}
	if err := f.delivery.deliver(ctx, images, whole); err != nil {
		return err
	}
	for _, image := range images {
		image.Release() // a builder that goes away now leaves no tags half moved
	}
	if f.plan.outputs.push {
		defer f.out.phase("push")()
	}
	err = f.ship.commit(ctx, whole, f.delivery)
	f.ship.uploads.end(err)
	return err
}

// indexResult describes the index as an exporter would.
func indexResult(whole registry.Artifact) (*llb.Result, error) {
	desc, err := descriptorOf(whole)
	if err != nil {
		return nil, err
	}
	resp, err := describing(nil, desc)
	if err != nil {
		return nil, err
	}
	return &llb.Result{Descriptor: desc, Response: resp}, nil
}

// sum adds the shares up, for the outcome, and returns what ended the whole.
func (f *fleet) sum() error {
	total := &llb.Result{}
	if f.index != nil {
		total = f.index
	}
	var records []*llb.Record
	var caches []error
	var failed testsuite.FailedError
	for _, s := range f.shares {
		records = append(records, s.result.Record)
		total.Syntax = s.result.Syntax
		caches = append(caches, s.result.CacheErr)
		if f.err == nil {
			f.out.builds = append(f.out.builds, s)
		}
		if s.suite != nil {
			f.out.addReport(s.suite.Report(s.result.Record))
		}
	}
	total.Record, total.CacheErr = llb.JoinRecords(records...), errors.Join(caches...)
	f.out.built(total)
	if one := new(testsuite.FailedError); errors.As(f.err, &one) {
		failed.Total = len(f.out.report.Cases)
		for _, c := range f.out.report.Cases {
			if c.Status == testsuite.Failed {
				failed.Failed = append(failed.Failed, c.Title())
			}
		}
		return &failed
	}
	return f.err
}
