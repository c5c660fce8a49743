package main

import (
	"context"
	"errors"
	"time"

	"github.com/seatrial/seatrial/registry"
)

// permissionAfter is how long the image may take before the registries are asked
// whether it may be pushed. An unchanged project is done by then, and spared the
// requests.
const permissionAfter = time.Second

// askPermission finds out whether the image may be pushed, while it is being
// built; an answer is an error only if it is no. It never holds up the push: once
// there is an image, pushing it tells best what is allowed, and one that is there
// already needs no permission.
func (s *shipping) askPermission(ctx context.Context) error {
	wait := time.NewTimer(permissionAfter)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-s.begun:
		return nil
	case <-ctx.Done():
		return nil
	}
	err := s.push.Check(ctx)
	select {
	case <-s.begun:
		return nil
	default:
	}
	if refused(err) {
		return err
	}
	return nil // whatever it is may have passed by the time of the push
}

// refused tells whether a registry has said that it will not take a push, ever.
func refused(err error) bool {
	var e *registry.Error
	return errors.As(err, &e) && (e.Kind == registry.KindDenied || e.Kind == registry.KindNoRepository)
}
