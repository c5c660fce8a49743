package main

import (
	"context"
	"fmt"

	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/registry"
)

// pushSaved pushes an image that was written before. Nothing is asked of a registry
// before all of it is known to be whole.
func (p *plan) pushSaved(ctx context.Context, std Streams, out *outcome) error {
	saved, img, passed, err := p.saved.open(ctx, std.Err)
	if err != nil {
		return err
	}
	defer saved.Close()
	out.report = passed
	display, err := startDisplay(std.Err, p.progress)
	if err != nil {
		return err
	}
	defer display.close()
	artifact, err := p.readSaved(ctx, saved, img, &delivery{plan: p, out: out, display: display})
	if err != nil {
		return err
	}
	uploads := &uploads{display: display}
	ship, ctx, err := p.startShipping(ctx, uploads)
	if err != nil {
		return err
	}
	defer ship.stop()
	defer out.phase("push")()
	err = ship.upload(ctx, artifact)
	uploads.end(err)
	if err != nil {
		return err
	}
	return ship.commit(ctx, artifact, &delivery{plan: p, stdout: std.Out, out: out, display: display})
}

// readSaved verifies the image, and compresses what docker save has not.
func (p *plan) readSaved(ctx context.Context, saved *registry.Saved, img registry.SavedImage, d *delivery) (registry.Artifact, error) {
	defer d.out.phase("read")()
	done := d.display.step(fmt.Sprintf("[push] reading %s", p.saved.path))
	artifact, err := saved.Load(ctx, img)
	done(err)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, unreadable(err, "write it again: nothing was pushed")
	}
	res, err := indexResult(artifact)
	if err != nil {
		return nil, err
	}
	res.Record = &llb.Record{}
	d.out.result = res
	return artifact, nil
}

// upload sends the blobs of an image that need not be waited for.
func (s *shipping) upload(ctx context.Context, artifact registry.Artifact) error {
	s.begin()
	select {
	case <-s.connected:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if s.dry {
		return nil
	}
	if err := s.push.Upload(ctx, artifact); err != nil {
		return &pushError{err}
	}
	return nil
}
