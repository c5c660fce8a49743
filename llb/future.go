package llb

import (
	"context"
	"sync"
)

// future is a value, or an error, that one goroutine sets once and others wait
// for.
type future[T any] struct {
	once sync.Once
	done chan struct{}
	v    T
	err  error
}

func newFuture[T any]() *future[T] { return &future[T]{done: make(chan struct{})} }

func (f *future[T]) set(v T) {
	f.once.Do(func() { f.v = v; close(f.done) })
}

func (f *future[T]) fail(err error) {
	f.once.Do(func() { f.err = err; close(f.done) })
}

// get waits for the value. One that is there is given even if ctx has ended.
func (f *future[T]) get(ctx context.Context) (T, error) {
	if f.isSet() {
		return f.v, f.err
	}
	select {
	case <-f.done:
		return f.v, f.err
	case <-ctx.Done():
		var zero T
		return zero, context.Cause(ctx)
	}
}

func (f *future[T]) isSet() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}
