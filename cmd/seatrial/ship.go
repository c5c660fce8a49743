package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/seatrial/seatrial/cmd/internal/buildkitd"
	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/registry"
	"github.com/seatrial/seatrial/testsuite"
)

// shipping is a push that connects while the image is built.
type shipping struct {
	push      *registry.Push
	refs      []name.Reference
	options   registry.Options
	access    *access
	uploads   *uploads
	connected chan struct{} // closed when the connections are there, or the context has ended with why not
	begun     chan struct{} // closed by begin, when there is something to push
	begin     func()
	passed    *atomic.Int32 // how many images have passed their tests, of as many as there are builders
	stop      func()
	dry       bool                   // what would be pushed is told instead
	drop      func()                 // cancels what was announced to registries
	partial   *registry.PartialError // of the tags, whatever it was that ended the work; or nil
}

// startShipping connects to the registries, if anything is to be pushed. The
// context that it returns ends, with the reason as its cause, if that fails: a
// long build whose image can go nowhere is better not begun.
func (p *plan) startShipping(ctx context.Context, uploads *uploads) (*shipping, context.Context, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	s := &shipping{
		refs: p.refs, access: p.access, uploads: uploads, dry: p.dryRun, stop: func() { cancel(nil) },
		connected: make(chan struct{}), begun: make(chan struct{}), drop: func() {},
	}
	s.begin = sync.OnceFunc(func() { close(s.begun) })
	if !p.outputs.push {
		return s, ctx, nil
	}
	s.options = p.access.pushOptions()
	s.options.Progress, s.options.Waiting = uploads.progress, uploads.waiting
	s.options.Verify = p.verifyPush
	push, err := registry.NewPush(p.refs, s.options)
	if err != nil {
		cancel(nil)
		return nil, nil, &pushError{err}
	}
	s.push = push
	ended := make(chan struct{})
	s.stop = func() {
		cancel(nil)
		<-ended // an upload that was begun to see whether it may be is cancelled
	}
	go func() {
		defer close(ended)
		err := push.Connect(ctx)
		if err == nil {
			close(s.connected)
			err = s.askPermission(ctx)
		}
		if err != nil {
			cancel(&pushError{err})
		}
	}()
	return s, ctx, nil
}

// ship uploads while tests run, writes outputs when they have passed, and then moves
// tags: an output that cannot be written costs no tag. Without either, the image was
// exported all the same: only so it has a digest to be known by.
func (s *shipping) ship(ctx context.Context, image *llb.Shipment, d *delivery) error {
	if s.push == nil && !d.any() {
		image.Release()
		return image.Verdict(ctx)
	}
	artifact, err := s.load(ctx, image, d.out.builder)
	if err != nil {
		return err
	}
	err = s.send(ctx, s.push, image, artifact, d)
	defer s.drop()
	s.uploads.end(err)
	if err != nil {
		return err
	}
	d.out.noteCompression(ctx, artifact)
	if artifact, err = d.attest(ctx, artifact); err != nil {
		return err
	}
	if err := d.deliver(ctx, []*llb.Shipment{image}, artifact); err != nil {
		return err
	}
	image.Release()
	return s.commit(ctx, artifact, d)
}

// load finds what there is to be shipped, and from now on notes that the image passes.
func (s *shipping) load(ctx context.Context, image *llb.Shipment, builder *buildkitd.Builder) (registry.Artifact, error) {
	passed := s.passed
	go func() {
		if image.Verdict(ctx) == nil {
			passed.Add(1)
		}
	}()
	store := registry.DialContent(builder.Dial, registry.DaemonContent(image.Content))
	store = registry.ContentDirs(builder.ContentDirs(ctx), store)
	artifact, err := registry.Load(ctx, store, image.Descriptor, registry.LoadOptions{
		Bases: bases(image.Bases), Materialize: image.Materialize,
		Keychain: s.access.pulls, Transport: s.access.hosts,
	})
	if err != nil && s.push == nil {
		return nil, &outputError{err}
	}
	if err != nil {
		return nil, &pushError{err}
	}
	return artifact, nil
}

// send uploads the blobs, if there is a push, and returns when the image has passed.
func (s *shipping) send(ctx context.Context, push *registry.Push, image *llb.Shipment, artifact registry.Artifact, d *delivery) error {
	if push != nil {
		s.begin()
		select {
		case <-s.connected:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if !s.dry {
			if err := s.uploadWatching(ctx, push, image, artifact); err != nil {
				return err
			}
			if n := d.blobsToAttest(artifact); n > 0 && push == s.push {
				s.drop = push.Announce(ctx, n)
			}
		}
	}
	if !d.any() {
		image.Release()
	}
	return image.Verdict(ctx)
}

// commit moves the tags, if there is a push.
func (s *shipping) commit(ctx context.Context, artifact registry.Artifact, d *delivery) error {
	if s.push == nil {
		return nil
	}
	out := d.out
	if s.dry {
		if err := s.preview(ctx, artifact, out); err != nil {
			return err
		}
	}
	if err := s.sign(ctx, artifact, d); err != nil || s.dry {
		return err
	}
	done := d.display.step(fmt.Sprintf("[push] tagging %s", plural(len(s.refs), "reference")))
	pushed, err := s.push.Commit(ctx, artifact)
	done(err)
	out.pushed = pushed // with a *registry.PartialError, too
	errors.As(err, &s.partial)
	if err != nil {
		return &pushError{err}
	}
	return nil
}

// whole is how the work ended, with what became of the tags: a signal, or a lost builder, has
// the last word on the one, and knows nothing of the other.
func (s *shipping) whole(err error) error {
	var partial *registry.PartialError
	if err == nil || s.partial == nil || errors.As(err, &partial) {
		return err
	}
	return errors.Join(err, &pushError{s.partial})
}

// uploadWatching sends the blobs. A failed test ends it; the bytes would be in vain.
func (s *shipping) uploadWatching(ctx context.Context, push *registry.Push, image *llb.Shipment, artifact registry.Artifact) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		if err := image.Verdict(ctx); err != nil {
			cancel(err)
		}
	}()
	err := push.Upload(ctx, artifact)
	var failed *testsuite.FailedError
	if cause := context.Cause(ctx); errors.As(cause, &failed) {
		return cause
	}
	if err != nil {
		return &pushError{err}
	}
	return nil
}

func bases(list []llb.Base) []registry.Base {
	out := make([]registry.Base, 0, len(list))
	for _, b := range list {
		if h, err := hash(b.Digest.String()); err == nil {
			out = append(out, registry.Base{Reference: b.Reference, Digest: h})
		}
	}
	return out
}
