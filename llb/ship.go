package llb

import (
	"context"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// finalize is the callback that the daemon calls when the image lies in its
// content store, still holding all of it.
//
// It lasts as long as ctx, which is the caller's, not as long as the daemon's call:
// once everything was read, a daemon that goes away is no reason to leave tags half
// moved. Nor is the daemon kept waiting then for more than the verdict: it writes down
// the build, which takes it as long as moving a tag, while tags move.
func (s *solve) finalize(ctx context.Context) func(context.Context, map[string]string) error {
	return func(callCtx context.Context, resp map[string]string) error {
		ctx, cancel := context.WithCancelCause(ctx)
		stop := context.AfterFunc(callCtx, func() {
			if !s.release.isSet() {
				cancel(context.Cause(callCtx))
			}
		})
		sent := make(chan error, 1)
		go func() {
			defer cancel(nil)
			defer stop()
			sent <- s.send(ctx, resp)
		}()
		select {
		case err := <-sent:
			if err != nil {
				// Unavailable and Unimplemented would mean "no callback".
				return status.Error(codes.Aborted, err.Error())
			}
			return nil
		case <-s.passed(ctx):
			return nil
		}
	}
}

// passed is closed when the image has passed and nothing more of it will be read. Its
// goroutine ends with ctx.
func (s *solve) passed(ctx context.Context) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		if _, err := s.release.get(ctx); err != nil {
			return
		}
		if _, err := s.verdict.get(ctx); err == nil {
			close(done)
		}
	}()
	return done
}

func (s *solve) finalized() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shipCalled
}

// send gives the exported image to Ship.
func (s *solve) send(ctx context.Context, resp map[string]string) error {
	s.mu.Lock()
	s.shipCalled = true
	s.mu.Unlock()
	defer close(s.shipEnded)
	desc, err := descriptor(resp)
	var tried ocispecs.Descriptor
	if err == nil {
		tried, err = s.subject(ctx, desc)
	}
	if err != nil {
		s.exported.fail(err)
	} else {
		s.exported.set(tried)
		s.result.Descriptor, s.result.Response = desc, resp
		err = s.phases.Ship(ctx, &Shipment{
			Descriptor: desc, Response: resp,
			Content: s.client.ContentClient(), Bases: s.bases.all(),
			verdict: s.verdict, materialize: s.materialize, release: s.releasedByShip,
			export: s.export,
		})
	}
	if err != nil {
		s.decideShip(ctx, err)
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shipDone = true
	return nil
}

// releasedByShip notes that Ship needs the builder no more.
func (s *solve) releasedByShip() {
	s.mu.Lock()
	s.shipAlone = true
	s.mu.Unlock()
	s.release.set(struct{}{})
}

// decideShip is decideUnless for an error of Ship. Once that needs the builder no more and
// all has passed, what it says counts more than that the builder was lost meanwhile: some
// tags may have moved.
func (s *solve) decideShip(ctx context.Context, err error) {
	passed := false
	if s.verdict.isSet() {
		_, failed := s.verdict.get(ctx)
		passed = failed == nil
	}
	s.mu.Lock()
	if passed && s.shipAlone && ctx.Err() == nil {
		s.err = err
	}
	s.mu.Unlock()
	s.decideUnless(ctx, err)
}

// awaitShip waits for a Ship that is still at work when the builds have ended: they do
// when it needs nothing more of them, and at once when the daemon is lost.
func (s *solve) awaitShip() {
	if s.finalized() {
		<-s.shipEnded
	}
}

func (s *solve) arrived() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shipDone
}

func (s *solve) materialize(ctx context.Context) error {
	t, err := s.held.get(ctx)
	if err != nil {
		return err
	}
	return t.materialize(ctx)
}
