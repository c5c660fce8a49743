package registry

import (
	"context"
	"sync"
)

// smallBlob is what is sent beside the layers, not in turn with them: at a distance,
// asking for it takes longer than sending it.
const smallBlob = 1 << 20

// tinyBlob is what is shorter than its name, such as an attestation's empty config. It
// is sent unasked.
const tinyBlob = 64

// lane lets only so many do something at a time.
type lane chan struct{}

// turn waits for one, or returns why ctx has ended. It is over with the first call of
// leave.
func (l lane) turn(ctx context.Context) (leave func(), err error) {
	select {
	case l <- struct{}{}:
		return sync.OnceFunc(func() { <-l }), nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// do runs f when it is its turn, or returns why ctx has ended.
func (l lane) do(ctx context.Context, f func() error) error {
	leave, err := l.turn(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return f()
}

// lanes are for the kinds of requests about blobs. A layer that takes minutes must hold
// up none that is done in a moment.
//
// As many layers are sent at a time as there are jobs. While they are, the next ones are
// begun, and those before are waited for: a registry at a distance, or one that is slow to
// store what it has got, holds up no other.
type lanes struct {
	ask   lane // those that are soon done
	layer lane // from beginning an upload to the answer that it is there
	send  lane // of these, while there is something to send
}

func newLanes(jobs int) lanes {
	return lanes{ask: make(lane, 2*jobs), layer: make(lane, 3*jobs), send: make(lane, jobs)}
}
