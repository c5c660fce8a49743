package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

const (
	// confirmTimeout bounds how long it may take to learn what a tag names that could
	// not be written, or that the push was cancelled at.
	confirmTimeout = 2 * time.Second

	// settleFirst is the first wait between looks at a tag that may yet move.
	settleFirst = 20 * time.Millisecond

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
	took      bool // the registry said that it did
	adrift    bool // the registry may still be at it: a gateway, or we, did not wait for it
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

// spareLooks spares tags a look before they are written: where the image is new to a
// repository none of them can name it, and one that named something when the push connected
// stands for the others.
func (p *Push) spareLooks(ctx context.Context, tags []*tag, t *tree) {
	for _, d := range p.dests {
		if !d.isNewTo(t) || !d.witnesses(ctx) {
			continue
		}
		i := slices.IndexFunc(tags, func(g *tag) bool { return g.ref.Name() == d.witness.Name() })
		for _, g := range tags {
			if _, ok := g.ref.(name.Tag); ok && g != tags[i] && g.dest == d && !g.known {
				g.witness = tags[i]
			}
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
	return g.dest.conn.retry.do(ctx, func(ctx context.Context) error {
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
	said, open, err := g.put(ctx)
	if g.took = err == nil; g.took {
		err = g.readBack(ctx, said)
	}
	g.moved = err == nil
	if err == nil {
		return
	}
	g.err = g.dest.conn.errorf(err, "tagging %s", g.ref)
	switch {
	case errors.Is(err, errTagElsewhere):
	case g.took, open:
		g.settle(ctx)
	case ctx.Err() == nil && answered(err) && g.names(ctx):
		g.err = nil // it may be written once only, and another push of this image has done so
	}
}

// put sends the manifest. After an error, open tells that a try may have reached the
// registry all the same: it was sent, and never refused.
func (g *tag) put(ctx context.Context) (said v1.Hash, open bool, err error) {
	err = g.dest.conn.retry.do(ctx, func(ctx context.Context) (err error) {
		var sent atomic.Bool
		said, err = g.dest.conn.put(noteSent(ctx, &sent), g.ref, g.want)
		lost := err != nil && sent.Load() && !answered(err)
		open = open || lost
		g.adrift = g.adrift || gateway(err) || lost && (ctx.Err() != nil || timeout(err))
		return err
	})
	return said, open, err
}

// noteSent notes whether a request is sent to its end.
func noteSent(ctx context.Context, sent *atomic.Bool) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(info httptrace.WroteRequestInfo) {
		if info.Err == nil {
			sent.Store(true)
		}
	}})
}

// settle finds out whether the tag moved after the connection broke, or the push was
// cancelled, or what the registry took could not be read back. A registry may still be at
// it: that the tag names something else counts only when it has done so for a while, and
// not where the registry was not waited for.
func (g *tag) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), confirmTimeout)
	defer cancel()
	asked := false
	for wait := settleFirst; ; wait *= 2 {
		got, err := g.dest.conn.named(ctx, g.ref)
		if err == nil && got == g.want.digest {
			g.moved, g.err = true, nil
			return
		}
		asked = err == nil || asked && ctx.Err() != nil
		if err != nil && ctx.Err() == nil && !passing(err) || sleep(ctx, wait) != nil {
			break
		}
	}
	if !asked || g.took || g.adrift {
		g.err, g.unsure = fmt.Errorf("%w (whether the tag moved is unknown)", g.err), true
	}
}

// gateway tells whether an answer is of one that does not know what became of the request.
func gateway(err error) bool {
	var answer *transport.Error
	return errors.As(err, &answer) && (answer.StatusCode == http.StatusBadGateway || answer.StatusCode == http.StatusGatewayTimeout)
}

// names tells whether the tag is known to name the artifact.
func (g *tag) names(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	got, err := g.dest.conn.named(ctx, g.ref)
	return err == nil && got == g.want.digest
}

// errTagElsewhere tells that a tag did not move although the registry said so.
var errTagElsewhere = errors.New("the registry took the manifest, but the tag names another")

// readBack compares what the tag names now with what was put, and of which the
// registry said what it is. A tag that has moved, but to something else, was moved
// on by another push.
func (g *tag) readBack(ctx context.Context, said v1.Hash) error {
	var got v1.Hash
	err := g.dest.conn.retry.atMost(readBackAttempts).do(ctx, func(ctx context.Context) (err error) {
		if got, err = g.dest.conn.named(ctx, g.ref); err != nil || got == g.want.digest {
			return err
		}
		if got == (v1.Hash{}) {
			return fmt.Errorf("%w: none", errTagElsewhere)
		}
		return fmt.Errorf("%w: %s", errTagElsewhere, got)
	})
	if said == g.want.digest && forbidden(err) {
		return nil
	}
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

// forbidden tells that a registry has the manifest, but lets nobody pull it yet, as Harbor
// does before it was scanned (its policies go for HEAD, too). What it said when it took it
// has to do.
func forbidden(err error) bool {
	var answer *transport.Error
	return errors.As(err, &answer) && answer.StatusCode == http.StatusPreconditionFailed
}

// witnessed tells whether the registry is known to move tags when it says so. One that was
// not read before may still name what it named; that another of the same repository, which
// named something else, did move speaks against it.
func (g *tag) witnessed() bool {
	w := g.witness
	if w == nil {
		return true
	}
	<-w.done
	return w.moved && !w.unknown && w.before != (v1.Hash{})
}

// answered tells whether the registry refused, or said something wrong. A 5xx is no
// answer: it may come from a proxy that did not wait for the registry's. One that says when
// to come again is.
func answered(err error) bool {
	var answer *transport.Error
	if errors.As(err, &answer) {
		return answer.StatusCode < http.StatusInternalServerError || errors.Is(err, errComeAgain)
	}
	return errors.Is(err, errTagElsewhere)
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
