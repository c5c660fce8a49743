package llb

import (
	"context"
	"testing"
)

// What an image has passed is noted when the build may have ended: a value that is there
// is not lost with it, in one run of two.
func TestFutureIsGivenAfterTheEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := newFuture[int]()
	f.set(1)
	cancel()
	for range 100 {
		if v, err := f.get(ctx); v != 1 || err != nil {
			t.Fatalf("get = %d, %v, want 1", v, err)
		}
	}
	if _, err := newFuture[int]().get(ctx); err == nil {
		t.Error("get of what is not there has not ended with its context")
	}
}
