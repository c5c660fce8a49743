package registry

import (
	"context"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// earlyFor is how long it counts what a tag was seen to name. A push that another
// overtakes within that time might as well have come before it.
const earlyFor = 5 * time.Second

// earlyLook is at a tag, begun before it is known what shall be pushed.
type earlyLook struct {
	at   time.Time
	done chan struct{} // closed when the others are set
	seen sight
	err  error
}

// lookEarly begins to look at the last tag, which by habit is the one that moves (latest),
// and at the others when it is called for: where the image is new there is no need to. A
// failure is not told: whoever needs the answer asks again.
func (p *Push) lookEarly(ctx context.Context, d *dest) {
	tags := slices.DeleteFunc(slices.Clone(p.refs), func(ref name.Reference) bool {
		_, ok := ref.(name.Tag)
		return !ok || ref.Context().Name() != d.repo.Name()
	})
	if len(tags) == 0 {
		return
	}
	last := len(tags) - 1
	d.witness = tags[last]
	d.lookAt(ctx, tags[last:])
	d.rest = func() { d.lookAt(ctx, tags[:last]) }
}

func (d *dest) lookAt(ctx context.Context, tags []name.Reference) {
	for _, ref := range tags {
		e := &earlyLook{at: time.Now(), done: make(chan struct{})}
		d.early[ref.Name()] = e
		go func() {
			defer close(e.done)
			e.seen, e.err = d.conn.look(ctx, ref)
		}()
	}
}

// lookAtRest has the tags be looked at that were not yet.
func (d *dest) lookAtRest() {
	if d.rest != nil {
		d.rest()
		d.rest = nil
	}
}

// witnesses tells whether the tag that was looked at first names something, so that it can
// show that the registry moves tags.
func (d *dest) witnesses(ctx context.Context) bool {
	if d.witness == nil || d.early[d.witness.Name()] == nil {
		return false
	}
	e := d.early[d.witness.Name()]
	select {
	case <-e.done:
		return e.err == nil && e.seen.digest != (v1.Hash{})
	case <-ctx.Done():
		return false
	}
}

// wait gives what was seen, unless there was no answer, or too long ago.
func (e *earlyLook) wait(ctx context.Context) (seen sight, ok bool) {
	if e == nil || time.Since(e.at) > earlyFor {
		return sight{}, false
	}
	select {
	case <-e.done:
		return e.seen, e.err == nil
	case <-ctx.Done():
		return sight{}, false
	}
}

// peek is wait without waiting.
func (e *earlyLook) peek() (seen sight, ok bool) {
	select {
	case <-e.done:
		return e.wait(context.Background())
	default:
		return sight{}, false
	}
}

// tagged is what the tags of a repository say about a manifest.
type tagged int

const (
	tagsSayNothing tagged = iota
	tagsNameIt
	tagsNameOthers // or were asked, and the answer is not there yet
)

// tagged compares a manifest with what was seen of the tags. An index may hold it.
func (d *dest) tagged(m *manifest) tagged {
	others := 0
	for _, e := range d.early {
		seen, answered := e.peek()
		switch {
		case answered && seen.digest == m.digest:
			return tagsNameIt
		case answered && seen.mediaType.IsIndex() && !m.mediaType.IsIndex(), time.Since(e.at) > earlyFor:
		default:
			others++
		}
	}
	if others > 0 && others == len(d.early) {
		return tagsNameOthers
	}
	return tagsSayNothing
}
