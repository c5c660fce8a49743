package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

const (
	// confirmTimeout bounds how long it may take to learn what a tag names that could
	// not be written, or that the push was cancelled at.
	confirmTimeout = 2 * time.Second

	// readBackAttempts are for a registry whose caches are a moment behind.
	readBackAttempts = 4
)

// tag is one reference on its way to naming the artifact.
type tag struct {
	push      *Push
	ref       name.Reference
	dest      *dest
	want      *manifest
	known     bool    // before was read
	before    v1.Hash // what it named; zero for nothing
	unknown   bool    // the registry does not tell before
	witness   *tag    // of the same repository, and read before in place of this one; or nil
	moved     bool
	overtaken v1.Hash
	err       error
	unsure    bool // it may have moved in spite of err
	done      chan struct{}
}

// tags are those to be written, and references by digest, which need not be.
func (p *Push) tags(t *tree) []*tag {
	dests := map[string]*dest{}
	for _, d := range p.dests {
		dests[d.repo.Name()] = d
	}
	var tags []*tag
	for _, ref := range p.refs {
		tags = append(tags, &tag{
			push: p, ref: ref, dest: dests[ref.Context().Name()], want: t.root, done: make(chan struct{}),
		})
	}
	return tags
}

// witnesses spares tags a look before they are written: the first tag of a repository
// stands for the others if the image is new there, which none of them can name then.
func (p *Push) witnesses(tags []*tag, t *tree) {
	first := map[*dest]*tag{}
	for _, g := range tags {
		if _, ok := g.ref.(name.Tag); !ok {
			continue
		}
		if w := first[g.dest]; w == nil {
			first[g.dest] = g
		} else if !g.known && g.dest.isNewTo(t) {
			g.witness = w
		}
	}
}

func (g *tag) read(ctx context.Context) error {
	if _, ok := g.ref.(name.Digest); ok {
		g.before = g.want.digest // it is put, and can name nothing else
		return nil
	}
	if seen, ok := g.dest.early[g.ref.Name()].wait(ctx); ok {
		g.before, g.unknown = seen.digest, seen.silent()
		return nil
	}
	return g.push.network.retry.do(ctx, func(ctx context.Context) error {
		seen, err := g.dest.conn.look(ctx, g.ref)
		g.before, g.unknown = seen.digest, seen.silent()
		return err
	})
}

// write moves the tag if need be, and makes sure that it moved.
func (g *tag) write(ctx context.Context) {
	if g.before == g.want.digest {
		return
	}
	if ctx.Err() != nil {
		g.err = g.dest.conn.errorf(context.Cause(ctx), "tagging %s", g.ref)
		return
	}
	var said v1.Hash
	err := g.push.network.retry.do(ctx, func(ctx context.Context) (err error) {
		said, err = g.dest.conn.put(ctx, g.ref, g.want)
		return err
	})
	refused := answered(err)
	if err == nil {
		err = g.readBack(ctx, said)
	}
	g.moved = err == nil
	if err == nil {
		return
	}
	g.err = g.dest.conn.errorf(err, "tagging %s", g.ref)
	if answered(err) && !refused {
		return
	}
	// Either the connection broke, or the push was cancelled, after the manifest was on its
	// way. Or the tag may be written once only, which another push of the same image
	// has done.
	switch named, err := g.confirm(ctx); {
	case err == nil && named:
		g.moved, g.err = !refused, nil
	case err != nil && !refused:
		g.err, g.unsure = fmt.Errorf("%w (whether the tag moved is unknown)", g.err), true
	}
}

// errTagElsewhere tells that a tag did not move although the registry said so.
var errTagElsewhere = errors.New("the registry took the manifest, but the tag names another")

// readBack compares what the tag names now with what was put, and of which the
// registry said what it is. A tag that has moved, but to something else, was moved
// on by another push.
func (g *tag) readBack(ctx context.Context, said v1.Hash) error {
	var got v1.Hash
	err := g.push.network.retry.atMost(readBackAttempts).do(ctx, func(ctx context.Context) (err error) {
		if got, err = g.dest.conn.named(ctx, g.ref); err != nil || got == g.want.digest {
			return err
		}
		if got == (v1.Hash{}) {
			return fmt.Errorf("%w: none", errTagElsewhere)
		}
		return fmt.Errorf("%w: %s", errTagElsewhere, got)
	})
	if !errors.Is(err, errTagElsewhere) || got == g.before || got == (v1.Hash{}) {
		return err
	}
	if said == g.want.digest && !g.unknown && g.witnessed() {
		g.overtaken = got
		return nil
	}
	g.unsure = true // it may be what the registry has made of ours
	return err
}

// witnessed tells whether the registry is known to move tags when it says so. One that was
// not read before may still name what it named; that another of the same repository did
// move speaks against it.
func (g *tag) witnessed() bool {
	if g.witness == nil {
		return true
	}
	<-g.witness.done
	return g.witness.moved && !g.witness.unknown
}

// answered tells whether the registry refused, or said something wrong. A 5xx is no
// answer: it may come from a proxy that did not wait for the registry's.
func answered(err error) bool {
	var answer *transport.Error
	if errors.As(err, &answer) {
		return answer.StatusCode < http.StatusInternalServerError
	}
	return errors.Is(err, errTagElsewhere)
}

// confirm looks whether the tag names what it should.
func (g *tag) confirm(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), confirmTimeout)
	defer cancel()
	got, err := g.dest.conn.head(ctx, g.ref)
	return got == g.want.digest, err
}

// outcome tells what became of the tags.
func outcome(tags []*tag) ([]Pushed, error) {
	var pushed, moved []Pushed
	var failed []Failure
	var errs []error
	unsure := false
	for _, g := range tags {
		if g.err != nil {
			unsure = unsure || g.unsure
			failed = append(failed, Failure{Reference: g.ref, Err: g.err, Unsure: g.unsure})
			errs = append(errs, g.err)
		}
		if g.err == nil || g.moved {
			one := Pushed{Reference: g.ref, Digest: g.want.digest, Moved: g.moved, Overtaken: g.overtaken}
			pushed = append(pushed, one)
			if g.moved {
				moved = append(moved, one)
			}
		}
	}
	switch {
	case len(failed) == 0:
		return pushed, nil
	case len(moved) == 0 && !unsure:
		return nil, join(errs)
	}
	return pushed, &PartialError{Moved: moved, Failed: failed}
}
