package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/registry"
	"github.com/seatrial/seatrial/testsuite"
)

// shipping is a push that connects while the image is built.
type shipping struct {
	push      *registry.Push
	refs      int
	uploads   *uploads
	connected chan struct{} // closed when the connections are there, or stop was called with why not
	stop      func()
}

// startShipping connects to the registries, if anything is to be pushed. The
// context that it returns ends, with the reason as its cause, if that fails: a
// long build whose image can go nowhere is better not begun.
func (p *plan) startShipping(ctx context.Context, uploads *uploads, stderr io.Writer) (*shipping, context.Context, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	s := &shipping{refs: len(p.refs), uploads: uploads, connected: make(chan struct{}), stop: func() { cancel(nil) }}
	if p.mode != modeRun {
		return s, ctx, nil
	}
	var keychain authn.Keychain = authn.DefaultKeychain
	if p.debug {
		keychain = tellingKeychain{keychain, stderr}
	}
	push, err := registry.NewPush(p.refs, registry.Options{Progress: uploads.progress, Keychain: keychain})
	if err != nil {
		cancel(nil)
		return nil, nil, &pushError{err}
	}
	s.push = push
	go func() {
		defer close(s.connected)
		if err := push.Connect(ctx); err != nil {
			cancel(&pushError{err})
		}
	}()
	return s, ctx, nil
}

// ship uploads while tests run, and moves tags when they have passed.
func (s *shipping) ship(ctx context.Context, image *llb.Shipment, out *outcome, display *display) error {
	store := registry.ContentDirs(out.builder.ContentDirs(), registry.DaemonContent(image.Content))
	artifact, err := registry.Load(ctx, store, image.Descriptor, registry.LoadOptions{
		Bases: bases(image.Bases), Materialize: image.Materialize,
	})
	if err != nil {
		return &pushError{err}
	}
	select {
	case <-s.connected:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	err = s.upload(ctx, image, artifact)
	s.uploads.end(err)
	if err != nil {
		return err
	}
	image.Release()
	if err := image.Verdict(ctx); err != nil {
		return err
	}
	done := display.step(fmt.Sprintf("[push] tagging %s", plural(s.refs, "reference")))
	pushed, err := s.push.Commit(ctx, artifact)
	done(err)
	out.pushed = pushed
	var partial *registry.PartialError
	if errors.As(err, &partial) {
		out.pushed = partial.Moved
	}
	if err != nil {
		return &pushError{err}
	}
	return nil
}

// upload sends the blobs. A failed test ends it; the bytes would be in vain.
func (s *shipping) upload(ctx context.Context, image *llb.Shipment, artifact registry.Artifact) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		if err := image.Verdict(ctx); err != nil {
			cancel(err)
		}
	}()
	err := s.push.Upload(ctx, artifact)
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
