package llb

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/containerd/containerd/v2/core/content"
	contentlocal "github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/moby/buildkit/client"
	bkllb "github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
)

// inline is the cache that lies in the image itself, and so cannot be exported
// after it.
const inline = "inline"

// cacheStores are the directories of local caches as the session offers them.
// BuildKit's client offers them only in sessions that it opens itself.
func (o Options) cacheStores() (map[string]content.Store, error) {
	stores := map[string]content.Store{}
	add := func(dir string) error {
		store, err := contentlocal.NewStore(dir)
		if err != nil {
			return fmt.Errorf("opening cache directory %q: %w", dir, err)
		}
		stores["local:"+dir] = store
		return nil
	}
	for _, e := range o.CacheExports {
		if e.Type == "local" {
			if err := add(e.Attrs["dest"]); err != nil {
				return nil, err
			}
		}
	}
	for _, e := range o.CacheImports {
		if dir := e.Attrs["src"]; e.Type == "local" && stores["local:"+dir] == nil && exists(dir) {
			if err := add(dir); err != nil {
				return nil, err
			}
		}
	}
	return stores, nil
}

// announceCaches lets the registries of caches see credentials, and that of an
// exported one a token that pushes to this one repository: it is the daemon that
// writes caches.
func (b *bases) announceCaches(opt Options) {
	for _, e := range opt.CacheImports {
		if e.Type == "registry" {
			b.announce(e.Attrs["ref"])
		}
	}
	for _, e := range opt.CacheExports {
		if e.Type != "registry" {
			continue
		}
		b.announce(e.Attrs["ref"])
		if named, err := reference.ParseNormalizedNamed(e.Attrs["ref"]); err == nil {
			b.caches[reference.Domain(named)+"/"+reference.Path(named)] = true
		}
	}
}

// exportCaches exports the caches of image and tests in a build of its own. In
// the image's build they would hold the push up, and their failure would be its
// failure.
//
// It has a session of its own as well: within one session the daemon knows a
// directory by the session, and finds every step behind it without looking at the
// files. A cache that was exported so would serve no other session.
func (s *solve) exportCaches(ctx context.Context) error {
	opt := s.base
	for _, e := range s.opt.CacheExports {
		if e.Type != inline {
			opt.CacheExports = append(opt.CacheExports, e)
		}
	}
	if len(opt.CacheExports) == 0 {
		return nil
	}
	sess, closeSession, err := startSession(ctx, s.client, s.inputs, s.opt, s.proving(), s.bases, nil)
	if err != nil {
		return err
	}
	defer closeSession()
	opt.SharedSession = sess
	opt.Internal = true
	opt.FrontendAttrs = map[string]string{} // the client writes into it
	t, err := s.trial.get(ctx)
	if err != nil {
		return err
	}
	_, err = s.client.Build(ctx, opt, "", func(ctx context.Context, c gateway.Client) (*gateway.Result, error) {
		var refs []gateway.Reference
		for _, def := range t.solved() {
			def, err := cacheable(def, sess.ID())
			if err != nil {
				return nil, err
			}
			r, err := c.Solve(ctx, gateway.SolveRequest{Definition: def.ToPB(), CacheImports: t.imports})
			if err != nil {
				return nil, err
			}
			ref, err := r.SingleRef()
			if err != nil {
				return nil, err
			}
			refs = append(refs, ref)
		}
		return several(append(refs, s.proofs(ctx, c, sess.ID(), t)...))
	}, withoutWarnings(s.status.stream()))
	if err != nil {
		return fmt.Errorf("exporting cache: %w", err)
	}
	return nil
}

// several is a result of unlike things, told apart as if they were for platforms.
func several(refs []gateway.Reference) (*gateway.Result, error) {
	res := gateway.NewResult()
	var list exptypes.Platforms
	for i, ref := range refs {
		id := strconv.Itoa(i)
		res.AddRef(id, ref)
		list.Platforms = append(list.Platforms, exptypes.Platform{ID: id, Platform: platforms.DefaultSpec()})
	}
	dt, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	res.AddMeta(exptypes.ExporterPlatformsKey, dt)
	return res, nil
}

// withoutWarnings passes on what the daemon says, but for its warnings: of the steps
// they were given before, and that the results are none of an image is meant so.
func withoutWarnings(out chan<- *client.SolveStatus) chan *client.SolveStatus {
	in := make(chan *client.SolveStatus)
	go func() {
		defer close(out)
		for st := range in {
			st.Warnings = nil
			out <- st
		}
	}()
	return in
}

// inlineCache is the cache export that goes into the image.
func (o Options) inlineCache() []client.CacheOptionsEntry {
	for _, e := range o.CacheExports {
		if e.Type == inline {
			return []client.CacheOptionsEntry{e}
		}
	}
	return nil
}

// cacheable is def with its directories from another session, and without the demand
// to ignore the cache, which the build has met: here it would run every step once
// more, with another result.
func cacheable(def *bkllb.Definition, session string) (*bkllb.Definition, error) {
	out, err := rewrite(def, func(_ digest.Digest, op *pb.Op) (bool, error) {
		changed := false
		for _, attr := range []string{pb.AttrLocalSessionID, pb.AttrOCILayoutSessionID} {
			if src := op.GetSource(); src != nil && src.Attrs[attr] != "" {
				src.Attrs[attr], changed = session, true
			}
		}
		return changed, nil
	})
	if err != nil {
		return nil, err
	}
	for dgst, meta := range out.Metadata {
		meta.IgnoreCache = false
		out.Metadata[dgst] = meta
	}
	return out, nil
}
