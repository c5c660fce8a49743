package registry

import (
	"context"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"
)

// Preview is what a push would do now.
type Preview struct {
	Repositories []RepositoryPreview
	Tags         []TagPreview // in the order of the references
}

// RepositoryPreview is what a push would do in one repository.
type RepositoryPreview struct {
	Repository name.Repository
	Anonymous  bool  // no credentials were found for it
	Complete   bool  // it has the artifact; nothing is asked of single blobs
	Send       Blobs // would be uploaded
	Mount      Blobs // would be taken over from another repository of the registry
	There      Blobs // are there already
}

// Blobs are a number of them, layers and configurations, and how large they are.
type Blobs struct {
	Count int
	Bytes int64
}

func (b *Blobs) add(size int64) {
	b.Count++
	b.Bytes += size
}

// TagPreview is what a push would do to one reference.
type TagPreview struct {
	Reference name.Reference
	From      v1.Hash // what it names now; the zero Hash if that is nothing
	To        v1.Hash
}

// Moves tells whether the reference would name something else than now.
func (t TagPreview) Moves() bool { return t.From != t.To }

// Preview tells what Upload and Commit would do, and fails where they are known to
// fail. It writes nothing; whether it may is found out as in Check. A registry may
// refuse a mount all the same, which only doing it can tell, and the blob is sent.
func (p *Push) Preview(ctx context.Context, a Artifact) (*Preview, error) {
	t, err := p.tree(a)
	if err != nil {
		return nil, err
	}
	v := &previewer{push: p, tree: t, found: map[string]*RepositoryPreview{}}
	if err := each(ctx, p.byRegistry(), v.group); err != nil {
		return nil, err
	}
	tags, err := v.tags(ctx)
	if err != nil {
		return nil, err
	}
	out := &Preview{Tags: tags}
	idle := true
	for _, d := range p.dests {
		one := v.found[d.repo.Name()]
		idle = idle && one.Complete
		out.Repositories = append(out.Repositories, *one)
	}
	for _, tag := range tags {
		idle = idle && !tag.Moves()
	}
	if idle {
		return out, nil
	}
	return out, p.Check(ctx)
}

// previewer asks registries what they have.
type previewer struct {
	push *Push
	tree *tree

	mu    sync.Mutex
	found map[string]*RepositoryPreview // by the repository's name
}

// group looks at the repositories of one registry, as uploadGroup does.
func (v *previewer) group(ctx context.Context, group []*dest) error {
	p, digest := v.push, v.tree.root.digest
	if err := each(ctx, group, func(ctx context.Context, d *dest) error { return p.probe(ctx, d, v.tree) }); err != nil {
		return err
	}
	var full, empty []*dest
	for _, d := range group {
		v.repository(d).Complete = d.has(digest)
		if d.has(digest) {
			full = append(full, d)
		} else {
			empty = append(empty, d)
		}
	}
	routes := p.plan(ctx, full, empty, v.tree)
	if err := p.connectMounts(ctx, routes); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(p.jobs)
	for i, r := range routes {
		for _, blob := range v.tree.blobs {
			// Where the first repository is not full, the others mount what
			// it will have been given.
			promised := i > 0 && len(full) == 0
			g.Go(func() error { return v.blob(ctx, r, blob, promised) })
		}
	}
	return g.Wait()
}

// tags tells what the references name now.
func (v *previewer) tags(ctx context.Context) ([]TagPreview, error) {
	p := v.push
	conns := map[string]*conn{}
	for _, d := range p.dests {
		conns[d.repo.Name()] = d.conn
	}
	tags := make([]TagPreview, len(p.refs))
	g, ctx := errgroup.WithContext(ctx)
	for i, ref := range p.refs {
		tag := &tags[i]
		tag.Reference, tag.To = ref, v.tree.root.digest
		g.Go(func() error {
			c := conns[ref.Context().Name()]
			return c.retry.do(ctx, func(ctx context.Context) (err error) {
				tag.From, err = c.shown(ctx, ref)
				return err
			})
		})
	}
	return tags, g.Wait()
}

func (v *previewer) repository(d *dest) *RepositoryPreview {
	v.mu.Lock()
	defer v.mu.Unlock()
	one := v.found[d.repo.Name()]
	if one == nil {
		one = &RepositoryPreview{Repository: d.repo, Anonymous: d.conn.anonymous}
		v.found[d.repo.Name()] = one
	}
	return one
}

// blob finds out what would become of one blob on one route.
func (v *previewer) blob(ctx context.Context, r *route, blob v1.Layer, promised bool) error {
	digest, err := blob.Digest()
	if err != nil {
		return err
	}
	size, err := blob.Size()
	if err != nil {
		return err
	}
	var there bool
	err = r.conn.retry.do(ctx, func(ctx context.Context) (err error) {
		there, err = r.conn.hasBlob(ctx, digest)
		return err
	})
	if err != nil {
		return r.conn.errorf(err, "looking for layer %s in %s", digest, r.dest.repo)
	}
	mount := false
	if from, ok := r.from[digest]; ok && !there {
		source := *r.conn
		source.repo = from
		had, err := source.hasBlob(ctx, digest)
		mount = promised || err == nil && had
	}
	one := v.repository(r.dest)
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case there:
		one.There.add(size)
	case mount:
		one.Mount.add(size)
	default:
		one.Send.add(size)
	}
	return nil
}
