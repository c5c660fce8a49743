package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Base is an image that a build started from.
type Base struct {
	Reference string  // as resolved, such as "docker.io/library/python:3-slim"
	Digest    v1.Hash // of the index or manifest that it resolved to
}

// errNoBase tells that no base has the layer.
var errNoBase = errors.New("layer of no base image")

// bases knows which base has which layer. What it learns it keeps.
type bases struct {
	store   Store
	network *network
	fetch   func(ctx context.Context) error

	mu      sync.Mutex
	all     []*base
	fetched bool
}

// base is one Base with what has been learned about it.
type base struct {
	repo   name.Repository
	digest v1.Hash
	layers map[v1.Hash]bool
	read   map[v1.Hash]bool // manifests whose layers are in layers
	met    map[v1.Hash]bool // manifests and indexes, while learning: many may name one
	local  bool             // all was learned that the store tells
	full   bool             // and all that the registry tells
	conn   *conn
}

func newBases(s Store, opt LoadOptions) (*bases, error) {
	// Whoever reads a layer tries again anyway, and the daemon may be able to
	// reach what we cannot: nothing is gained by waiting long here.
	const attempts = 2
	b := &bases{store: s, network: newNetwork(Options{Keychain: opt.Keychain, Transport: opt.Transport, Attempts: attempts}), fetch: opt.Materialize}
	for _, from := range opt.Bases {
		ref, err := name.ParseReference(from.Reference, opt.NameOptions...)
		if err != nil {
			return nil, fmt.Errorf("parsing base image %q: %w", from.Reference, err)
		}
		b.all = append(b.all, &base{
			repo:   ref.Context(),
			digest: from.Digest,
			layers: map[v1.Hash]bool{},
			read:   map[v1.Hash]bool{},
		})
	}
	return b, nil
}

// in gives the repository of the registry that has the layer, as far as the
// manifests in the store tell: for a layer that need not be mounted, asking a
// registry would cost more than it can save.
func (b *bases) in(ctx context.Context, registry string, digest v1.Hash) (name.Repository, bool) {
	return b.find(ctx, digest, func(r name.Repository) bool { return r.RegistryStr() == registry })
}

// find is in for those repositories that may be taken.
func (b *bases) find(ctx context.Context, digest v1.Hash, may func(name.Repository) bool) (name.Repository, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, from := range b.all {
		if !may(from.repo) {
			continue
		}
		b.learnLocally(ctx, from)
		if from.layers[digest] {
			return from.repo, true
		}
	}
	return name.Repository{}, false
}

// open streams the layer from the registry of the first base that has it and
// gives it. It is errNoBase if no base has the layer.
func (b *bases) open(ctx context.Context, desc v1.Descriptor) (io.ReadCloser, error) {
	var errs []error
	for _, from := range b.all {
		c, err := b.having(ctx, from, desc.Digest)
		if err == nil {
			var r io.ReadCloser
			if r, err = c.blob(ctx, desc.Digest); err == nil {
				return r, nil
			}
		}
		if !errors.Is(err, errNoBase) {
			errs = append(errs, err)
		}
	}
	if len(errs) == 0 {
		return nil, errNoBase
	}
	return nil, join(errs)
}

// having connects to the base if it has the layer, and is errNoBase if not.
func (b *bases) having(ctx context.Context, from *base, digest v1.Hash) (*conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.learnLocally(ctx, from)
	if !from.full && !from.layers[digest] {
		err := b.learnFrom(ctx, from, digest, b.fromAnywhere)
		if err != nil && !from.layers[digest] {
			return nil, err
		}
		from.full = !from.layers[digest]
	}
	if !from.layers[digest] {
		return nil, errNoBase
	}
	return b.connect(ctx, from)
}

// learnLocally notes the layers of all manifests in the store. That a manifest
// is not there is no error: it may be had from the registry.
func (b *bases) learnLocally(ctx context.Context, from *base) {
	if !from.local {
		_ = b.learnFrom(ctx, from, v1.Hash{}, b.fromStore)
		from.local = ctx.Err() == nil
	}
}

// materialize has the daemon fetch what is absent, once. It is false if there
// is no way to do that.
func (b *bases) materialize(ctx context.Context) (bool, error) {
	if b.fetch == nil {
		return false, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fetched {
		return true, nil
	}
	if err := b.fetch(ctx); err != nil {
		return false, err
	}
	b.fetched = true
	return true, nil
}

// manifestReader gets one manifest of a base.
type manifestReader func(ctx context.Context, from *base, digest v1.Hash) ([]byte, error)

// learnFrom is learn for all of a base.
func (b *bases) learnFrom(ctx context.Context, from *base, want v1.Hash, read manifestReader) error {
	from.met = map[v1.Hash]bool{}
	return b.learn(ctx, from, from.digest, want, read)
}

// learn notes the layers of a manifest, or of those manifests of an index that
// read can get, until it has met the wanted layer.
func (b *bases) learn(ctx context.Context, from *base, digest, want v1.Hash, read manifestReader) error {
	if from.read[digest] || from.met[digest] {
		return nil
	}
	from.met[digest] = true
	raw, err := read(ctx, from, digest)
	if err != nil {
		return fmt.Errorf("reading manifest %s of base image %s: %w", digest, from.repo, err)
	}
	// An index has no layers and an image no manifests: one parser sees which.
	idx, err := v1.ParseIndexManifest(bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("parsing manifest %s of base image %s: %w", digest, from.repo, err)
	}
	if len(idx.Manifests) > 0 {
		return b.learnAll(ctx, from, idx.Manifests, want, read)
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("parsing manifest %s of base image %s: %w", digest, from.repo, err)
	}
	for _, desc := range manifest.Layers {
		from.layers[desc.Digest] = true
	}
	from.read[digest] = true
	return nil
}

// learnAll goes on after a manifest that cannot be read: the daemon keeps only
// those of the platforms it built for.
func (b *bases) learnAll(ctx context.Context, from *base, children []v1.Descriptor, want v1.Hash, read manifestReader) error {
	var errs []error
	for _, child := range children {
		if from.layers[want] {
			return nil
		}
		if child.Platform != nil && child.Platform.OS == "unknown" {
			continue // an attestation, whose layers are in no image
		}
		if err := b.learn(ctx, from, child.Digest, want, read); err != nil {
			errs = append(errs, err)
		}
	}
	return join(errs)
}

func (b *bases) fromStore(ctx context.Context, _ *base, digest v1.Hash) ([]byte, error) {
	return readHashed(ctx, b.store, v1.Descriptor{Digest: digest, Size: -1})
}

func (b *bases) fromAnywhere(ctx context.Context, from *base, digest v1.Hash) ([]byte, error) {
	if raw, err := b.fromStore(ctx, from, digest); err == nil {
		return raw, nil
	}
	c, err := b.connect(ctx, from)
	if err != nil {
		return nil, err
	}
	return c.manifest(ctx, digest)
}

func (b *bases) connect(ctx context.Context, from *base) (*conn, error) {
	if from.conn != nil {
		return from.conn, nil
	}
	c, err := b.network.dial(ctx, from.repo, []string{from.repo.Scope(transport.PullScope)})
	if err != nil {
		return nil, err
	}
	from.conn = c
	return c, nil
}
