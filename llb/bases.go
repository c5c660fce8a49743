package llb

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/distribution/reference"
	bkllb "github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/flightcontrol"
	digest "github.com/opencontainers/go-digest"
)

// Base is an image that the build starts from or copies out of.
type Base struct {
	// Reference is its name as the Dockerfile or a named context gives it,
	// normalized: "docker.io/library/python:3-slim".
	Reference string
	// Digest is what the name resolved to, an index or a manifest.
	Digest digest.Digest
}

// bases resolves image configurations once each and remembers what it was asked
// for: those are the only images whose registries may see credentials, and the
// places where layers that the daemon never fetched are to be found.
type bases struct {
	group flightcontrol.CachedGroup[resolved]
	mu    sync.Mutex
	hosts map[string][]string // with the repositories that the build names
	any   bool                // of hosts
	list  []Base

	caches map[string]bool // repositories, with their host, of exported caches; set once
}

type resolved struct {
	ref    string
	digest digest.Digest
	config []byte
}

func newBases() *bases {
	return &bases{hosts: map[string][]string{}, caches: map[string]bool{}, group: flightcontrol.CachedGroup[resolved]{CacheError: true}}
}

// client is c with image resolution going through b.
func (b *bases) client(c gateway.Client) gateway.Client {
	return &resolvingClient{Client: c, bases: b}
}

// Allows tells whether the build named an image of host.
func (b *bases) allows(host string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.any || len(b.hosts[canonicalHost(host)]) > 0
}

// canonicalHost is the host as references name it.
func canonicalHost(host string) string {
	if host == "registry-1.docker.io" {
		return "docker.io"
	}
	return host
}

func (b *bases) all() []Base {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Base(nil), b.list...)
}

// announce lets the registry of ref see credentials from now on. It comes
// before the daemon is asked to resolve ref, because it asks for them then.
func (b *bases) announce(ref string) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return // the daemon will say so better
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	host, path := reference.Domain(named), reference.Path(named)
	if !slices.Contains(b.hosts[host], path) {
		b.hosts[host] = append(b.hosts[host], path)
	}
}

// repositories of the host that the build named so far.
func (b *bases) repositories(host string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.hosts[canonicalHost(host)])
}

// announceAny lets every registry see credentials from now on: only the frontend
// image knows which base images it is going to pull.
func (b *bases) announceAny() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.any = true
}

func (b *bases) add(ref string, dgst digest.Digest) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if base := (Base{Reference: ref, Digest: dgst}); !slices.Contains(b.list, base) {
		b.list = append(b.list, base)
	}
}

// addSources adds the images that def takes files from.
func (b *bases) addSources(def *bkllb.Definition) error {
	for _, dt := range def.Def {
		var op pb.Op
		if err := op.UnmarshalVT(dt); err != nil {
			return fmt.Errorf("reading LLB: %w", err)
		}
		ref, ok := strings.CutPrefix(op.GetSource().GetIdentifier(), "docker-image://")
		if !ok {
			continue
		}
		named, err := reference.ParseNormalizedNamed(ref)
		if err != nil {
			return fmt.Errorf("reading LLB: image %q: %w", ref, err)
		}
		if pinned, ok := named.(reference.Digested); ok {
			b.add(reference.TagNameOnly(withoutDigest(named)).String(), pinned.Digest())
		}
	}
	return nil
}

// withoutDigest is named by its tag alone, if it has one.
func withoutDigest(named reference.Named) reference.Named {
	name := reference.TrimNamed(named)
	if tagged, ok := named.(reference.Tagged); ok {
		if with, err := reference.WithTag(name, tagged.Tag()); err == nil {
			return with
		}
	}
	return name
}

type resolvingClient struct {
	gateway.Client
	bases *bases
}

func (c *resolvingClient) ResolveImageConfig(ctx context.Context, ref string, opt sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	key, err := json.Marshal(opt)
	if err != nil {
		return "", "", nil, err
	}
	r, err := c.bases.group.Do(ctx, ref+" "+string(key), func(ctx context.Context) (resolved, error) {
		if opt.OCILayoutOpt != nil { // no registry has it, whatever the name is
			name, dgst, config, err := c.Client.ResolveImageConfig(ctx, ref, opt)
			return resolved{name, dgst, config}, err
		}
		c.bases.announce(ref)
		name, dgst, config, err := c.Client.ResolveImageConfig(ctx, ref, opt)
		if err != nil {
			return resolved{}, err
		}
		c.bases.add(name, dgst)
		return resolved{name, dgst, config}, nil
	})
	return r.ref, r.digest, r.config, err
}

// ResolveSourceMetadata is how the generator of an SBOM is looked for.
func (c *resolvingClient) ResolveSourceMetadata(ctx context.Context, op *pb.SourceOp, opt sourceresolver.Opt) (*sourceresolver.MetaResponse, error) {
	if ref, ok := strings.CutPrefix(op.GetIdentifier(), "docker-image://"); ok {
		c.bases.announce(ref)
	}
	return c.Client.ResolveSourceMetadata(ctx, op, opt)
}
