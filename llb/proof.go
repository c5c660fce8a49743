package llb

import (
	"context"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	bkllb "github.com/moby/buildkit/client/llb"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// Nobody but the daemon can write to some caches. What an image has passed is kept in
// them as a step: one that needs a secret which is there only while a cache is
// exported, after the verdict, and only for what the image has passed. Whoever asks for
// the step without the secret gets it from a cache, or an error, which no cache
// remembers.

// keyedTypes are the caches that nobody but the daemon can write to, and which have
// other steps than the image's own.
var keyedTypes = []string{"gha", "s3", "azblob"}

// proofPrefix begins the IDs of those secrets, which are never the user's.
const proofPrefix = "seatrial-passed/"

// Witness is a command that does nothing but succeed.
type Witness struct {
	// Root is the filesystem that it runs in.
	Root bkllb.State
	Args []string
}

// proofID names the pass of a trial, by its mark, on an image.
func proofID(image digest.Digest, mark string) string {
	return proofPrefix + digest.FromString(image.String()+" "+mark).Encoded()
}

// proof is the step that a pass is known by. It gets its result, an empty directory,
// from nothing but the secret.
func (w Witness) proof(ctx context.Context, id string) (*bkllb.Definition, error) {
	run := w.Root.Run(bkllb.Args(w.Args), bkllb.Network(bkllb.NetModeNone), bkllb.WithCustomName(settleName),
		bkllb.AddSecret("/run/secrets/passed", bkllb.SecretID(id)))
	return run.AddMount("/passed", bkllb.Scratch()).Marshal(ctx)
}

// proven tells whether a cache that is imported has the proof.
func (t *Trial) proven(ctx context.Context, image digest.Digest, mark string) bool {
	if !slices.ContainsFunc(t.imports, func(e gateway.CacheOptionsEntry) bool { return slices.Contains(keyedTypes, e.Type) }) {
		return false
	}
	opts := t.Client.BuildOpts()
	w := t.witness.on(opts.SessionID, t.Platforms())
	if w == nil {
		return false
	}
	def, err := w.proof(ctx, proofID(image, mark))
	if err != nil {
		return false
	}
	_, err = t.Client.Solve(ctx, gateway.SolveRequest{Definition: def.ToPB(), Evaluate: true, CacheImports: t.imports})
	return err == nil
}

// witnesses is Gear.Witness.
type witnesses func(session string, p ocispecs.Platform) *Witness

// on is the witness for the platform of the daemon, nil if there is none.
func (f witnesses) on(session string, of []ocispecs.Platform) *Witness {
	if f == nil || len(of) == 0 {
		return nil
	}
	return f(session, platforms.Normalize(of[0]))
}

// proofs are what is exported with caches for a later proven. What cannot be proven is
// left out: the trial then runs again.
func (s *solve) proofs(ctx context.Context, c gateway.Client, session string, t *Trial) []gateway.Reference {
	w := t.witness.on(session, t.Platforms())
	if w == nil || !s.exportsProofs() {
		return nil
	}
	refs := make([]gateway.Reference, len(s.result.Passed.Marks))
	var eg errgroup.Group
	eg.SetLimit(maxProofs)
	for i, mark := range s.result.Passed.Marks {
		eg.Go(func() error {
			def, err := w.proof(ctx, proofID(s.result.Passed.Image, mark))
			if err != nil {
				return nil
			}
			if r, err := c.Solve(ctx, gateway.SolveRequest{Definition: def.ToPB(), Evaluate: true, CacheImports: t.imports}); err == nil {
				refs[i], _ = r.SingleRef()
			}
			return nil
		})
	}
	_ = eg.Wait() // there are no errors
	return slices.DeleteFunc(refs, func(ref gateway.Reference) bool { return ref == nil })
}

// maxProofs is how many processes are started at a time to prove something.
const maxProofs = 4

func (s *solve) exportsProofs() bool {
	for _, e := range s.opt.CacheExports {
		if slices.Contains(keyedTypes, e.Type) {
			return true
		}
	}
	return false
}

// proving is g with the secrets that prove what the image has passed.
func (s *solve) proving() Gear {
	ids := map[string]bool{}
	for _, mark := range s.result.Passed.Marks {
		ids[proofID(s.result.Passed.Image, mark)] = true
	}
	g, own := s.phases.Gear, s.phases.Gear.Secret
	g.Secret = func(id string) []byte {
		switch {
		case ids[id]:
			return []byte("passed")
		case own != nil && !strings.HasPrefix(id, proofPrefix):
			return own(id)
		}
		return nil
	}
	return g
}
