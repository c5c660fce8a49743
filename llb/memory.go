package llb

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containerd/platforms"
	controlapi "github.com/moby/buildkit/api/services/control"
	bkllb "github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/identity"
	digest "github.com/opencontainers/go-digest"
)

// keyPassed is where a record in the daemon's history holds an image and the trials
// that it has passed. The record is that of the build that tried it; if that has failed,
// if only because the push did, it is that of a build of nothing.
const keyPassed = "seatrial.passed"

// memorizeTimeout is for a daemon that no longer answers: it may be why the build failed.
const memorizeTimeout = 5 * time.Second

// Passes are trials that an image is known to have passed. Its JSON is the value of
// keyPassed, and what is kept beside caches.
type Passes struct {
	// Image is the manifest or index, without what is attested of it.
	Image digest.Digest `json:"image"`
	// Marks name the trials, each with the Dockerfile and the options that it
	// belongs to.
	Marks []string `json:"marks"`
	// Notes are what trials want to know later, whatever becomes of the image.
	Notes map[string]string `json:"notes,omitempty"`
}

// memory knows which images passed which trials, from the daemon's history and
// from wherever Options.Recall looks.
//
// The daemon's cache cannot tell. It knows a step by the steps before it, not by
// what they made: when the same steps have made another image (RUN apt-get update,
// built without cache), a trial that passed on the first is in the cache for the
// second.
type memory struct {
	passed map[string]bool // by image digest + " " + mark
	notes  map[string]dated
}

// dated is a note, with the time of its record.
type dated struct {
	text string
	at   time.Time
}

// recall reads the history. A daemon that has none, or is too old to be asked,
// remembers nothing.
func (s *solve) recall(ctx context.Context) *memory {
	m := newMemory()
	if s.opt.Recall != nil {
		for _, p := range s.opt.Recall(ctx) {
			m.add(p, time.Time{})
		}
	}
	m.readHistory(ctx, s.client.ControlClient())
	return m
}

func newMemory() *memory { return &memory{passed: map[string]bool{}, notes: map[string]dated{}} }

func (m *memory) readHistory(ctx context.Context, c controlapi.ControlClient) {
	stream, err := c.ListenBuildHistory(ctx, &controlapi.BuildHistoryRequest{EarlyExit: true})
	if err != nil {
		return
	}
	for {
		ev, err := stream.Recv()
		if err != nil {
			return // at the end, or knowing less
		}
		if rec := ev.Record; rec != nil && rec.CompletedAt != nil && rec.Error == nil {
			var p Passes
			if json.Unmarshal([]byte(rec.ExporterResponse[keyPassed]), &p) == nil {
				m.add(p, rec.CompletedAt.AsTime())
			}
		}
	}
}

func (m *memory) add(p Passes, at time.Time) {
	for _, mark := range p.Marks {
		m.passed[p.Image.String()+" "+mark] = true
	}
	for key, text := range p.Notes {
		if old, known := m.notes[key]; !known || at.After(old.at) {
			m.notes[key] = dated{text, at}
		}
	}
}

// passes are what the image has passed. ok is false if that is nothing.
func (s *solve) passes(ctx context.Context, t *Trial) (p Passes, ok bool) {
	image, err := s.exported.get(ctx)
	if err != nil || image.Digest == "" {
		return p, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return Passes{image.Digest, slices.Sorted(slices.Values(t.passed)), maps.Clone(t.notes)}, len(t.passed) > 0
}

// notePasses writes what the image has passed to this machine.
func (s *solve) notePasses(ctx context.Context, t *Trial) {
	if p, ok := s.passes(ctx, t); ok {
		p.note(s.opt.PassedDir)
	}
}

// tried is the trial build's result: the image, whose provenance the daemon then writes
// down, and what it has passed.
func (s *solve) tried(ctx context.Context, t *Trial) (*gateway.Result, error) {
	res := gateway.NewResult()
	if s.phases.Try == nil {
		return res, nil
	}
	if err := t.addRefs(res); err != nil {
		return nil, err
	}
	if p, ok := s.passes(ctx, t); ok {
		return res, p.addTo(res)
	}
	return res, nil
}

// addTo adds p to what the daemon writes down of a build.
func (p Passes) addTo(res *gateway.Result) error {
	dt, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encoding what has passed: %w", err)
	}
	res.AddMeta(keyPassed, dt)
	res.AddMeta(exptypes.ExporterImageDigestKey, []byte(p.Image))
	return nil
}

// addRefs adds the images' filesystems to a result, as a frontend has them.
func (t *Trial) addRefs(res *gateway.Result) error {
	if !t.Index {
		res.SetRef(t.refs[0])
		return nil
	}
	var all exptypes.Platforms
	for i, ref := range t.refs {
		p := exptypes.Platform{ID: platforms.FormatAll(t.Images[i].Platform), Platform: t.Images[i].Platform}
		all.Platforms = append(all.Platforms, p)
		res.AddRef(p.ID, ref)
	}
	dt, err := json.Marshal(all)
	if err != nil {
		return fmt.Errorf("encoding platforms: %w", err)
	}
	res.AddMeta(exptypes.ExporterPlatformsKey, dt)
	return nil
}

// memorize has the daemon remember what the image has passed in a build that has failed.
// That it could not is no failure: the trial then runs again.
func (s *solve) memorize(ctx context.Context) {
	if !s.trial.isSet() || !s.exported.isSet() {
		return
	}
	t, err := s.trial.get(ctx)
	if err != nil {
		return
	}
	p, ok := s.passes(ctx, t)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, memorizeTimeout)
	defer cancel()
	opt := s.base
	opt.FrontendAttrs = map[string]string{} // the client writes into it
	_, _ = s.client.Build(ctx, opt, "", func(context.Context, gateway.Client) (*gateway.Result, error) {
		res := gateway.NewResult()
		return res, p.addTo(res)
	}, nil)
}

// Mark names a trial that is what it is by this Dockerfile with these options, for Passed
// and Remember.
func (t *Trial) Mark(name string) string {
	cv := t.conversion
	opts := unattested(cv.ui.BuildOpts().Opts)
	var all strings.Builder
	fmt.Fprintf(&all, "%s\x00%s\x00", name, cv.src.Data)
	if cv.foreign != nil {
		fmt.Fprintf(&all, "%s\x00", cv.foreign.image)
	}
	for _, k := range slices.Sorted(maps.Keys(opts)) {
		if k != "no-cache" && k != "cache-imports" {
			fmt.Fprintf(&all, "%s=%s\x00", k, opts[k])
		}
	}
	return digest.FromString(all.String()).String()
}

// Passed tells whether the image, as it was exported, passed the trial with this mark
// before. It waits for the export.
func (t *Trial) Passed(ctx context.Context, mark string) (bool, error) {
	image, err := t.exported.get(ctx)
	if err != nil {
		return false, err
	}
	known := noted(t.passedDir, image.Digest, mark)
	if !known {
		known = t.recall(ctx).passed[image.Digest.String()+" "+mark]
	}
	if !known {
		known = t.proven(ctx, image.Digest, mark)
	}
	if err := ctx.Err(); err != nil {
		return false, context.Cause(ctx)
	}
	if known {
		t.Remember(mark) // the daemon forgets after two days or fifty builds (its defaults)
	}
	return known, nil
}

// passes are the trials that the image has passed, now or before.
func (t *Trial) passes() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.passed)
}

// passFile is the note that an image passed a trial.
func passFile(dir string, image digest.Digest, mark string) string {
	return filepath.Join(dir, digest.FromString(image.String()+" "+mark).Encoded())
}

// noted tells whether there is a note.
func noted(dir string, image digest.Digest, mark string) bool {
	if dir == "" {
		return false
	}
	_, err := os.Stat(passFile(dir, image, mark))
	return err == nil
}

// note writes the notes of p. Like what the daemon remembers, they can be lost.
func (p Passes) note(dir string) {
	if dir == "" || os.MkdirAll(dir, 0o700) != nil {
		return
	}
	for _, mark := range p.Marks {
		if !noted(dir, p.Image, mark) {
			_ = os.WriteFile(passFile(dir, p.Image, mark), nil, 0o600)
		}
	}
	for key, text := range p.Notes {
		_ = os.WriteFile(noteFile(dir, key), []byte(text), 0o600)
	}
}

// settleName is the step of settle. Nobody is shown it.
const settleName = "[internal] settle"

// Remember has the daemon remember that the image passed the trial with this mark.
func (t *Trial) Remember(mark string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !slices.Contains(t.passed, mark) {
		t.passed = append(t.passed, mark)
	}
}

// Name is what a step is called in the output.
func (t *Trial) Name(dgst digest.Digest) string { return t.record.Vertex(dgst).Name }

// Executed tells whether the last step of a graph that was solved has run now, in this
// build, rather than come from a cache.
func (t *Trial) Executed(ctx context.Context, g *Graph) (bool, error) {
	if len(g.Vertices) == 0 {
		return true, nil // it is the image itself
	}
	if err := t.settle(ctx); err != nil {
		return false, err
	}
	v := t.record.Vertex(g.Vertices[len(g.Vertices)-1])
	return !v.Completed.IsZero() && !v.Cached, nil
}

// settle waits until all that the daemon has to say of solves that have ended is known
// here. It says so in order, but later than it answers, and a step that comes from a
// cache may look like one that ran until the last word on it. So one more step is
// solved, and its end waited for.
func (t *Trial) settle(ctx context.Context) error {
	st := bkllb.Scratch().File(bkllb.Mkfile("/"+identity.NewID(), 0o600, nil), bkllb.WithCustomName(settleName))
	def, err := st.Marshal(ctx)
	if err != nil {
		return fmt.Errorf("marshalling LLB: %w", err)
	}
	if _, err := t.Client.Solve(ctx, gateway.SolveRequest{Definition: def.ToPB(), Evaluate: true}); err != nil {
		return err
	}
	return t.record.completed(ctx, digest.FromBytes(def.Def[0]))
}

// SolveAnew is Solve without the cache, for the steps that belong to g alone.
func (t *Trial) SolveAnew(ctx context.Context, g *Graph) (gateway.Reference, error) {
	t.record.keep(g.Commands)
	anew := &bkllb.Definition{Def: g.def.Def, Source: g.def.Source, Constraints: g.def.Constraints, Metadata: maps.Clone(g.def.Metadata)}
	for _, dgst := range g.Vertices {
		meta := anew.Metadata[dgst]
		meta.IgnoreCache = true
		anew.Metadata[dgst] = meta
	}
	res, err := t.Client.Solve(ctx, gateway.SolveRequest{Definition: anew.ToPB(), Evaluate: true})
	if err != nil {
		return nil, err
	}
	return res.SingleRef()
}
