package registry

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"
)

// Pushed is a reference that names the artifact.
type Pushed struct {
	Reference name.Reference
	Digest    v1.Hash
	Moved     bool // the tag named something else, or nothing, before; false for a reference by digest

	// Overtaken is what the tag names now if another push has moved it on since;
	// zero if it names Digest.
	Overtaken v1.Hash
}

// Commit makes the artifact visible: its manifests by digest in every
// repository, and only when they are all there, the tags. A lone tag is put without the
// digest first. A tag that names the artifact already is left alone; every other is read
// again after it was written. Blobs that Upload has not uploaded are uploaded first. The
// result is in the order of the references.
//
// No tag has moved after an error, unless it is a *PartialError: then the result has the
// references that name the artifact all the same, moved or not. When ctx ends,
// Commit returns at once, or after 2 s if a tag was just being written.
func (p *Push) Commit(ctx context.Context, a Artifact) ([]Pushed, error) {
	t, err := p.tree(a)
	if err != nil {
		return nil, err
	}
	if err := each(ctx, p.dests, p.connect); err != nil {
		return nil, err
	}
	tags := p.tags(t)
	if err := p.recognize(ctx, tags, t); err != nil {
		return nil, err
	}
	if err := p.complete(ctx, t); err != nil {
		return nil, err
	}
	p.spareLooks(ctx, tags, t)
	if err := p.prepare(ctx, tags, t); err != nil {
		return nil, err
	}
	for _, tag := range tags {
		go func() {
			defer close(tag.done)
			tag.write(ctx)
		}()
	}
	for _, tag := range tags {
		<-tag.done
		delete(tag.dest.early, tag.ref.Name()) // it tells no more of what the tag names
	}
	return outcome(tags)
}

// complete uploads the blobs that are not there, and meanwhile puts the manifests whose
// blobs are: those of an image, while its statement is sent.
func (p *Push) complete(ctx context.Context, t *tree) error {
	type ready struct {
		in *dest
		m  *manifest
	}
	var all []ready
	for _, d := range p.dests {
		for _, m := range slices.Concat(t.below...) {
			if d.ready[m.digest] && !d.has(m.digest) {
				all = append(all, ready{d, m})
			}
		}
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.upload(gctx, t) })
	g.Go(func() error {
		return each(gctx, all, func(ctx context.Context, r ready) error { return p.putManifest(ctx, r.in, r.m) })
	})
	if err := g.Wait(); err != nil {
		return err
	}
	for _, r := range all {
		r.in.manifests[r.m.digest] = brought
	}
	return nil
}

// recognize reads the tags at once where a part of the artifact was found, and
// nothing is known of the whole: an index around an image that has not changed. One
// that names it already says that it is there, and nothing has to be asked for.
func (p *Push) recognize(ctx context.Context, tags []*tag, t *tree) error {
	there := map[string]*dest{}
	for _, d := range p.dests {
		if slices.ContainsFunc(t.manifests(), func(m *manifest) bool { return d.has(m.digest) }) {
			there[d.repo.Name()] = d
		}
	}
	some := slices.DeleteFunc(slices.Clone(tags), func(g *tag) bool { return there[g.ref.Context().Name()] == nil })
	if err := each(ctx, some, func(ctx context.Context, g *tag) error { return g.read(ctx) }); err != nil {
		return err
	}
	for _, g := range some {
		g.known = true
		if _, ok := g.ref.(name.Tag); ok && g.before == t.root.digest {
			there[g.ref.Context().Name()].manifests[t.root.digest] = found
		}
	}
	return nil
}

// prepare does all that can be done before the first tag is written: it puts the
// manifests and, meanwhile, reads the tags. A registry that cannot be reached now
// should cost no tag.
func (p *Push) prepare(ctx context.Context, tags []*tag, t *tree) error {
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return each(gctx, p.dests, func(ctx context.Context, d *dest) error { return p.writeManifests(ctx, d, t) })
	})
	g.Go(func() error { return readTags(gctx, tags) })
	if err := g.Wait(); err != nil {
		return err
	}
	if !p.verify {
		return nil
	}
	return each(ctx, p.dests, func(ctx context.Context, d *dest) error { return p.verifyDest(ctx, d, t) })
}

// readTags reads what the tags name that are not known, and have no witness; nor does one
// count that names the artifact: another push has brought it meanwhile.
func readTags(ctx context.Context, tags []*tag) error {
	read := func(ctx context.Context, g *tag) error { return g.read(ctx) }
	without := func(g *tag) bool { return g.known || g.witness != nil }
	if err := each(ctx, slices.DeleteFunc(slices.Clone(tags), without), read); err != nil {
		return err
	}
	stale := slices.DeleteFunc(slices.Clone(tags), func(g *tag) bool {
		return g.witness == nil || g.witness.before != g.want.digest
	})
	for _, g := range stale {
		g.witness = nil
	}
	return each(ctx, stale, read)
}

// writeManifests puts the manifests into a repository by their digests, those that are not
// there.
func (p *Push) writeManifests(ctx context.Context, d *dest, t *tree) error {
	lost, err := p.lost(ctx, d, t)
	if err != nil {
		return err
	}
	write := func(ctx context.Context, m *manifest) error {
		if lost[m.digest] || !d.has(t.root.digest) && !d.has(m.digest) {
			return p.putManifest(ctx, d, m)
		}
		return nil
	}
	for _, level := range t.below {
		if err := each(ctx, level, write); err != nil {
			return err
		}
	}
	if p.lone() {
		return nil
	}
	if err := write(ctx, t.root); err != nil {
		return err
	}
	if !d.has(t.root.digest) {
		d.manifests[t.root.digest] = brought
	}
	return nil
}

// lost asks with Verify for all manifests at once that were found there, or by what refers
// to them, and tells which are not.
func (p *Push) lost(ctx context.Context, d *dest, t *tree) (map[v1.Hash]bool, error) {
	lost := map[v1.Hash]bool{}
	if !p.verify {
		return lost, nil
	}
	var mu sync.Mutex
	err := each(ctx, t.manifests(), func(ctx context.Context, m *manifest) error {
		if !d.has(t.root.digest) && !d.has(m.digest) || d.manifests[m.digest] == brought {
			return nil
		}
		return d.conn.retry.do(ctx, func(ctx context.Context) error {
			seen, err := d.conn.look(ctx, d.repo.Digest(m.digest.String()))
			if err == nil && !seen.holds(m.digest) {
				mu.Lock()
				defer mu.Unlock()
				lost[m.digest] = true
			}
			return err
		})
	})
	return lost, err
}

// lone tells whether there is but one tag in all. Putting the manifest there first by
// its digest would cost a round trip, and nothing can be half moved without it: the
// registry takes both or neither. One that makes another manifest of what it is given is
// found out when the tag is read back, which is then too late to keep it from moving.
func (p *Push) lone() bool {
	_, ok := p.refs[0].(name.Tag)
	return ok && len(p.refs) == 1 && !p.verify
}

func (p *Push) putManifest(ctx context.Context, d *dest, m *manifest) error {
	ref := d.repo.Digest(m.digest.String())
	var got v1.Hash
	err := d.conn.retry.do(ctx, func(ctx context.Context) (err error) {
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
