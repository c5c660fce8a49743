package registry

import (
	"context"
	"fmt"

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
// repository, and only when they are all there, the tags. A tag that names the
// artifact already is left alone; every other is read again after it was
// written. Blobs that Upload has not uploaded are uploaded first. The result is
// in the order of the references.
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
	tags, err := p.prepare(ctx, t)
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

// prepare does all that can be done before the first tag is written: it puts the
// manifests and, meanwhile, reads the tags. A registry that cannot be reached now
// should cost no tag.
func (p *Push) prepare(ctx context.Context, t *tree) ([]*tag, error) {
	tags := p.tags(t)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return each(gctx, p.dests, func(ctx context.Context, d *dest) error { return p.writeManifests(ctx, d, t) })
	})
	g.Go(func() error {
		return each(gctx, tags, func(ctx context.Context, g *tag) error { return g.read(ctx) })
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if !p.verify {
		return tags, nil
	}
	return tags, each(ctx, p.dests, func(ctx context.Context, d *dest) error { return p.verifyDest(ctx, d, t) })
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
	if d.there[m.digest] {
		return nil
	}
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
