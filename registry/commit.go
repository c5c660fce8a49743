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

// confirmTimeout bounds how long it may take to learn whether a tag moved after
// the push was cancelled.
const confirmTimeout = 2 * time.Second

// Pushed is a reference that names the artifact.
type Pushed struct {
	Reference name.Reference
	Digest    v1.Hash
	Moved     bool // the tag named something else, or nothing, before; false for a reference by digest
}

// Commit makes the artifact visible: its manifests by digest in every
// repository, and only when they are all there, the tags. A tag that names the
// artifact already is left alone. Blobs that Upload has not uploaded are
// uploaded first. The result is in the order of the references.
//
// No tag has moved after an error, unless it is a *PartialError. When ctx ends,
// Commit returns at once, or after 2 s if a tag was just being written.
func (p *Push) Commit(ctx context.Context, a Artifact) ([]Pushed, error) {
	t, err := p.tree(a)
	if err != nil {
		return nil, err
	}
	if err := p.upload(ctx, t); err != nil {
		return nil, err
	}
	err = each(ctx, p.dests, func(ctx context.Context, d *dest) error { return p.writeManifests(ctx, d, t) })
	if err != nil {
		return nil, err
	}
	tags, err := p.readTags(ctx, t)
	if err != nil {
		return nil, err
	}
	for _, tag := range tags {
		tag.done = make(chan struct{})
		go func() {
			defer close(tag.done)
			tag.write(ctx)
		}()
	}
	for _, tag := range tags {
		<-tag.done
	}
	return outcome(tags)
}

// writeManifests puts the manifests into a repository by their digests.
func (p *Push) writeManifests(ctx context.Context, d *dest, t *tree) error {
	if d.there[t.root.digest] {
		return nil
	}
	for _, level := range t.below {
		err := each(ctx, level, func(ctx context.Context, m *manifest) error { return p.writeManifest(ctx, d, m) })
		if err != nil {
			return err
		}
	}
	if err := p.writeManifest(ctx, d, t.root); err != nil {
		return err
	}
	d.there[t.root.digest] = true
	return nil
}

func (p *Push) writeManifest(ctx context.Context, d *dest, m *manifest) error {
	ref := d.repo.Digest(m.digest.String())
	var got v1.Hash
	err := p.network.retry.do(ctx, func(ctx context.Context) (err error) {
		got, err = d.conn.put(ctx, ref, m)
		return err
	})
	if err != nil {
		return d.conn.errorf(err, "pushing %s", ref)
	}
	if got != (v1.Hash{}) && got != m.digest {
		return d.conn.errorf(fmt.Errorf("the registry stored %s", got), "pushing %s", ref)
	}
	return nil
}

// tag is one reference on its way to naming the artifact.
type tag struct {
	push   *Push
	ref    name.Reference
	conn   *conn
	want   *manifest
	before v1.Hash
	moved  bool
	err    error
	unsure bool // whether it moved in spite of err
	done   chan struct{}
}

// readTags reads all tags before any is written: a registry that cannot be
// reached now should cost no tag.
func (p *Push) readTags(ctx context.Context, t *tree) ([]*tag, error) {
	conns := map[string]*conn{}
	for _, d := range p.dests {
		conns[d.repo.Name()] = d.conn
	}
	var tags []*tag
	for _, ref := range p.refs {
		tags = append(tags, &tag{push: p, ref: ref, conn: conns[ref.Context().Name()], want: t.root})
	}
	err := each(ctx, tags, func(ctx context.Context, g *tag) error { return g.read(ctx) })
	return tags, err
}

func (g *tag) read(ctx context.Context) error {
	if _, ok := g.ref.(name.Digest); ok {
		g.before = g.want.digest // it was put, and can name nothing else
		return nil
	}
	return g.push.network.retry.do(ctx, func(ctx context.Context) (err error) {
		g.before, err = g.conn.head(ctx, g.ref)
		return err
	})
}

// write moves the tag if need be, and makes sure that it moved.
func (g *tag) write(ctx context.Context) {
	if g.before == g.want.digest {
		return
	}
	if ctx.Err() != nil {
		g.err = g.conn.errorf(context.Cause(ctx), "tagging %s", g.ref)
		return
	}
	var got v1.Hash
	err := g.push.network.retry.do(ctx, func(ctx context.Context) (err error) {
		got, err = g.conn.put(ctx, g.ref, g.want)
		return err
	})
	if err == nil && got != g.want.digest {
		err = g.check(ctx)
	}
	g.moved = err == nil
	if err == nil {
		return
	}
	g.err = g.conn.errorf(err, "tagging %s", g.ref)
	if answered(err) {
		return
	}
	// The connection broke, or the push was cancelled, after the manifest was
	// on its way.
	switch moved, err := g.confirm(ctx); {
	case err != nil:
		g.err, g.unsure = fmt.Errorf("%w (whether the tag moved is unknown)", g.err), true
	case moved:
		g.moved, g.err = true, nil
	}
}

// errTagElsewhere tells that a tag did not move although the registry said so.
var errTagElsewhere = errors.New("the registry took the manifest, but the tag names another")

// check reads the tag that the registry did not confirm to be moved.
func (g *tag) check(ctx context.Context) error {
	got, err := g.conn.digest(ctx, g.ref)
	if err == nil && got != g.want.digest {
		return fmt.Errorf("%w: %s", errTagElsewhere, got)
	}
	return err
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

// confirm looks whether the tag moved.
func (g *tag) confirm(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), confirmTimeout)
	defer cancel()
	got, err := g.conn.head(ctx, g.ref)
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
			one := Pushed{Reference: g.ref, Digest: g.want.digest, Moved: g.moved}
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
