package llb

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/platforms"
	bkllb "github.com/moby/buildkit/client/llb"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// Trial is what a function that tries the image is given: the image as a graph,
// which the daemon may still be building, and a gateway to solve more of it.
type Trial struct {
	// Client is the gateway of the trial's own build, which ends with it.
	Client gateway.Client
	// Images are the image for each platform.
	Images []*Stage
	// Index tells that the image is an index: that there are, or could be,
	// images for several platforms.
	Index bool

	named map[string][]*Stage
	union contextUnion
	built map[digest.Digest]bool // the image's own vertices
	refs  []gateway.Reference

	conversion *conversion
	inputs     *inputs
	bases      *bases
	besides    besides
	allowed    []AllowedFrontend
	context    *bkllb.State // nil: not asked for
	exported   *future[ocispecs.Descriptor]
	recall     func(context.Context) *memory // once, and only if it is needed
	passedDir  string
	record     *Record
	witness    witnesses

	imports []gateway.CacheOptionsEntry
	mu      sync.Mutex
	tried   []*bkllb.Definition // what Solve was called for
	passed  []string            // marks, now or before
	notes   map[string]string
}

// newTrial converts what ph asks for beside the image itself and makes all of
// it load one context.
func newTrial(ctx context.Context, cv *conversion, ph Phases) (*Trial, error) {
	t := &Trial{Index: cv.ui.MultiPlatformRequested, named: map[string][]*Stage{}, union: contextUnion{}, built: map[digest.Digest]bool{}, imports: cv.ui.CacheImports, conversion: cv}
	if err := t.convert(ctx, cv, ph.Stages); err != nil {
		return nil, err
	}
	if err := t.loadContext(ctx, cv, ph.ContextPaths); err != nil {
		return nil, err
	}
	if err := t.uniteContexts(); err != nil {
		return nil, err
	}
	for _, st := range t.Images {
		for _, dt := range st.def.Def {
			t.built[digest.FromBytes(dt)] = true
		}
	}
	return t, nil
}

func (t *Trial) convert(ctx context.Context, cv *conversion, extra func([]string) ([]string, error)) error {
	var want []string
	if extra != nil {
		have, err := cv.stageNames(ctx)
		if err != nil {
			return err
		}
		if want, err = extra(have); err != nil {
			return err
		}
	}
	named := make([][]*Stage, len(want))
	eg, ctx := errgroup.WithContext(ctx)
	warn := cv.allWarnings(ctx)
	eg.Go(func() (err error) {
		t.Images, err = cv.stages(ctx, "", warn)
		return err
	})
	for i, name := range want {
		eg.Go(func() (err error) {
			named[i], err = cv.stages(ctx, name, warn)
			return err
		})
	}
	if err := eg.Wait(); err != nil {
		return err
	}
	for i, name := range want {
		t.named[name] = named[i]
	}
	return nil
}

func (t *Trial) uniteContexts() error {
	all := slices.Clone(t.Images)
	for _, stages := range t.named {
		all = append(all, stages...)
	}
	for _, st := range all {
		if err := t.union.add(st.def); err != nil {
			return err
		}
	}
	for _, st := range all {
		united, err := t.union.apply(st.def)
		if err != nil {
			return err
		}
		st.united = !slices.EqualFunc(st.def.Def, united.Def, bytes.Equal)
		st.def = united
	}
	return nil
}

// Stage is the Dockerfile's stage called name for the platform p. Only stages
// that Phases.Stages named can be had.
func (t *Trial) Stage(name string, p ocispecs.Platform) (*Stage, error) {
	if st := stageFor(t.named[name], p); st != nil {
		return st, nil
	}
	return nil, fmt.Errorf("stage %q was not converted for %s", name, platforms.Format(p))
}

func stageFor(stages []*Stage, p ocispecs.Platform) *Stage {
	for _, st := range stages {
		if platforms.FormatAll(st.Platform) == platforms.FormatAll(platforms.Normalize(p)) {
			return st
		}
	}
	return nil
}

// Platforms are those that the daemon can run commands on, its own first.
func (t *Trial) Platforms() []ocispecs.Platform {
	var out []ocispecs.Platform
	for _, w := range t.Client.BuildOpts().Workers {
		out = append(out, w.Platforms...)
	}
	return out
}

// Solve runs a graph to its end and returns its filesystem.
func (t *Trial) Solve(ctx context.Context, g *Graph) (gateway.Reference, error) {
	t.mu.Lock()
	t.tried = append(t.tried, g.def)
	t.mu.Unlock()
	t.record.keep(g.Commands)
	res, err := t.Client.Solve(ctx, gateway.SolveRequest{Definition: g.def.ToPB(), Evaluate: true, CacheImports: t.imports})
	if err != nil {
		return nil, err
	}
	return res.SingleRef()
}

// solved are the image and all that was tried on it.
func (t *Trial) solved() []*bkllb.Definition {
	t.mu.Lock()
	defer t.mu.Unlock()
	var defs []*bkllb.Definition
	for _, st := range t.Images {
		defs = append(defs, st.def)
	}
	return append(defs, t.tried...)
}

// OfImage tells whether the vertex dgst builds the image, or one beside it, not a test.
func (t *Trial) OfImage(dgst digest.Digest) bool { return t.built[dgst] || t.ofBeside(dgst) }

// hold builds the image in the trial's own build too, which shares every vertex
// with the exporting one, and so keeps its layers from being pruned for as long
// as the trial lasts.
func (t *Trial) hold(ctx context.Context) error {
	t.refs = make([]gateway.Reference, len(t.Images))
	eg, ctx := errgroup.WithContext(ctx)
	for i, st := range t.Images {
		eg.Go(func() error {
			res, err := t.Client.Solve(ctx, gateway.SolveRequest{Definition: st.def.ToPB(), Evaluate: true, CacheImports: t.imports})
			if err != nil {
				return err
			}
			t.refs[i], err = res.SingleRef()
			return err
		})
	}
	return eg.Wait()
}

// materialize has the daemon fetch the base layers that it left where they are.
// Only mounting does that, Evaluate does not.
func (t *Trial) materialize(ctx context.Context) error {
	for _, ref := range t.refs {
		if ref == nil {
			continue // scratch
		}
		if _, err := ref.StatFile(ctx, gateway.StatRequest{Path: "/"}); err != nil {
			return fmt.Errorf("fetching base layers: %w", err)
		}
	}
	return nil
}

// PrintLog writes the last lines of a vertex's output, at most n.
func (v Vertex) PrintLog(w io.Writer, n int) error {
	lines := strings.Split(strings.TrimRight(string(v.Log), "\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	_, err := fmt.Fprintln(w, strings.Join(lines, "\n"))
	return err
}
