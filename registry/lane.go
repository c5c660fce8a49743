package registry

import "context"

// smallBlob is what is sent beside the layers, not in turn with them: at a distance,
// asking for it takes longer than sending it.
const smallBlob = 1 << 20

// tinyBlob is what is shorter than its name, such as an attestation's empty config. It
// is sent unasked.
const tinyBlob = 64

// lane lets only so many do something at a time.
type lane chan struct{}

// do runs f when it is its turn, or returns why ctx has ended.
func (l lane) do(ctx context.Context, f func() error) error {
	select {
	case l <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-l }()
	return f()
}

// lanes are for the two kinds of requests about blobs. A layer that takes minutes
// must hold up none that is done in a moment.
type lanes struct {
	ask  lane // those that are soon done
	send lane // and those with much to send
}

func newLanes(jobs int) lanes {
	return lanes{ask: make(lane, 2*jobs), send: make(lane, jobs)}
}

func (l lanes) forSize(size int64) lane {
	if size <= smallBlob {
		return l.ask
	}
	return l.send
}
