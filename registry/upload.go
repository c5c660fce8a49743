package registry

import (
	"context"
	"slices"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/sync/errgroup"
)

// uploadGroup brings the blobs into repositories of one registry: each into the
// first that needs it, and from there, by mounting, into the others.
func (p *Push) uploadGroup(ctx context.Context, group []*dest, t *tree) error {
	digest := t.root.digest
	if err := each(ctx, group, func(ctx context.Context, d *dest) error { return p.probe(ctx, d, t) }); err != nil {
		return err
	}
	var full, empty []*dest
	for _, d := range group {
		if d.has(digest) && !p.verify || d.ready[digest] {
			full = append(full, d)
		} else {
			empty = append(empty, d)
		}
	}
	t.note(full)
	if len(empty) == 0 {
		return nil
	}
	routes := p.plan(ctx, full, empty, t)
	if err := p.connectMounts(ctx, routes); err != nil {
		return err
	}
	if err := p.uploadRoutes(ctx, routes, t); err != nil {
		return err
	}
	for _, d := range empty {
		d.ready[digest] = true
	}
	t.note(empty)
	return nil
}

// note has repositories remember that all blobs are there.
func (t *tree) note(in []*dest) {
	for _, d := range in {
		for _, blob := range t.blobs {
			digest, _ := blob.Digest() // newTree has had it
			d.blobs[digest] = true
		}
	}
}

// route is how the blobs get into one repository.
type route struct {
	dest *dest
	conn *conn                       // may read the repositories in from, too
	from map[v1.Hash]name.Repository // of the same registry, to mount a blob from
}

// plan finds for every blob a repository of the same registry to mount it from:
// one that we push to, that of a base image, or one that the daemon knows of. The
// name of a repository is never told to another registry.
func (p *Push) plan(ctx context.Context, full, empty []*dest, t *tree) []*route {
	var routes []*route
	for i, d := range empty {
		r := &route{dest: d, conn: d.conn, from: map[v1.Hash]name.Repository{}}
		routes = append(routes, r)
		switch {
		case len(full) > 0:
			r.mountAll(t, full[0].repo)
		case i > 0:
			r.mountAll(t, empty[0].repo)
		default:
			r.findSources(ctx, t)
		}
	}
	return routes
}

func (r *route) mountAll(t *tree, from name.Repository) {
	for _, blob := range t.blobs {
		digest, _ := blob.Digest() // newTree has had it
		if !r.dest.blobs[digest] {
			r.from[digest] = from
		}
	}
}

// findSources asks all at once: the daemon may be far away.
func (r *route) findSources(ctx context.Context, t *tree) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, blob := range t.blobs {
		digest, _ := blob.Digest()
		if r.dest.blobs[digest] {
			continue
		}
		wg.Go(func() {
			if from, ok := mountable(ctx, blob, r.dest.repo); ok {
				mu.Lock()
				defer mu.Unlock()
				r.from[digest] = from
			}
		})
	}
	wg.Wait()
}

// mountable gives the repository of the same registry that a blob can be
// mounted from: ours knows its bases and the daemon's labels, others may be
// go-containerregistry's.
func mountable(ctx context.Context, blob v1.Layer, to name.Repository) (name.Repository, bool) {
	var from name.Repository
	switch blob := blob.(type) {
	case *layer:
		var ok bool
		if from, ok = blob.loader.bases.in(ctx, to.RegistryStr(), blob.desc.Digest); !ok {
			return labelledSource(labelsOf(ctx, blob.loader.store, blob.desc.Digest), to)
		}
	case *remote.MountableLayer:
		from = blob.Reference.Context()
	default:
		return from, false
	}
	return from, from.RegistryStr() == to.RegistryStr() && from.RepositoryStr() != to.RepositoryStr()
}

// connectMounts makes connections whose tokens allow reading what is mounted.
// go-containerregistry would ask for that on its own, but fails if it is
// refused; then we send the bytes instead.
func (p *Push) connectMounts(ctx context.Context, routes []*route) error {
	return each(ctx, routes, func(ctx context.Context, r *route) error {
		if len(r.from) == 0 || !r.conn.wire.bearer.Load() {
			return nil
		}
		scopes := []string{r.dest.repo.Scope(transport.PushScope)} // some registries look at the first only
		for _, from := range r.from {
			if scope := from.Scope(transport.PullScope); !slices.Contains(scopes, scope) {
				scopes = append(scopes, scope)
			}
		}
		c, err := p.network.dial(ctx, r.dest.repo, scopes)
		if err == nil {
			r.conn = c
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		clear(r.from)
		return nil
	})
}

// uploadRoutes uploads each blob along all routes, one after the other since
// the later ones mount what the first has brought. How many at a time is left to the
// lanes: they all wait for answers at the same time.
func (p *Push) uploadRoutes(ctx context.Context, routes []*route, t *tree) error {
	turns := newLanes(p.jobs)
	g, ctx := errgroup.WithContext(ctx)
	for _, blob := range t.blobs {
		digest, _ := blob.Digest()
		g.Go(func() error {
			for _, r := range routes {
				if r.dest.blobs[digest] {
					continue
				}
				if err := p.uploadBlob(ctx, r, blob, turns); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// unasked tells whether a blob is sent without asking whether it is there.
func unasked(blob v1.Layer) bool {
	size, err := blob.Size()
	return madeHere(blob) || err == nil && size <= tinyBlob
}

// lookForBlobs asks for as many blobs as may be asked for at a time, and lets the others
// wait for their turn. The function that it returns waits for the answers, which Upload
// does not ask for again.
func (d *dest) lookForBlobs(ctx context.Context, t *tree, most int) (wait func()) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	d.seen = map[v1.Hash]bool{}
	for _, blob := range t.blobs {
		digest, _ := blob.Digest() // newTree has had it
		if d.blobs[digest] || unasked(blob) || most == 0 {
			continue
		}
		most--
		wg.Go(func() {
			there, err := d.conn.hasBlob(ctx, digest)
			if err == nil { // otherwise it is asked for again
				mu.Lock()
				defer mu.Unlock()
				d.seen[digest] = there
			}
		})
	}
	return wg.Wait
}

func (p *Push) uploadBlob(ctx context.Context, r *route, blob v1.Layer, turns lanes) error {
	digest, err := blob.Digest()
	if err != nil {
		return err
	}
	size, err := blob.Size()
	if err != nil {
		return err
	}
	if ml, ok := blob.(*remote.MountableLayer); ok {
		blob = ml.Layer // its reference may be of another registry
	}
	t := &transfer{report: p.progress, now: Progress{Repository: r.dest.repo, Digest: digest, Size: size}}
	t.set(StateStarted, 0)
	body := &blobBody{Layer: blob, ctx: ctx, transfer: t}
	b := &blobUpload{digest: digest, size: size, open: body.Compressed, transfer: t, lanes: turns, unasked: unasked(blob)}
	if there, ok := r.dest.seen[digest]; ok {
		b.seen = &there
	}
	if from, ok := r.from[digest]; ok {
		b.from = &from
	} else if b.unasked {
		b.begun = r.dest.begun
	}
	return r.conn.retry.do(ctx, func(ctx context.Context) error {
		body.fail(nil)
		err := r.conn.upload(ctx, b)
		if err == nil {
			return nil
		}
		b.broke, b.seen = !answered(err), nil
		if cause := body.failure(); cause != nil {
			return cause // what the registry says of a body that broke off is not
		}
		return r.conn.errorf(err, "uploading layer %s to %s", digest, r.dest.repo)
	})
}
