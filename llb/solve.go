package llb

import (
	"context"
	"errors"

	"maps"
	"sync"

	"github.com/moby/buildkit/client"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/identity"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// Solve builds, tries and ships as ph says. It returns a result with the Record
// whatever happens. The error of Try or Ship is returned as it is; one of the
// build carries the Dockerfile's lines (BuildKit's errdefs.Sources).
func Solve(ctx context.Context, c *client.Client, opt Options, ph Phases) (*Result, error) {
	in, err := newInputs(opt)
	if err != nil {
		return &Result{Record: &Record{}}, err
	}
	s := &solve{
		client: c, opt: opt, phases: ph, inputs: in,
		bases: newBases(), status: newStatusMerge(opt),
		trial: newFuture[*Trial](), held: newFuture[*Trial](), verdict: newFuture[struct{}](), release: newFuture[struct{}](),
		exported:  newFuture[ocispecs.Descriptor](),
		shipEnded: make(chan struct{}),
	}
	err = s.run(ctx)
	s.result.Record = s.status.wait()
	s.result.Transfers = in.transfers()
	return &s.result, err
}

// solve is the state of one call of Solve: two builds in one session. The image
// build exports, and ends when the image was shipped. The trial build tries the
// image and keeps its layers alive until they are shipped.
type solve struct {
	client *client.Client
	opt    Options
	phases Phases
	inputs *inputs
	bases  *bases
	status *statusMerge
	result Result

	base     client.SolveOpt
	trial    *future[*Trial]              // the converted Dockerfile
	held     *future[*Trial]              // the same once the trial build keeps the image alive
	verdict  *future[struct{}]            // what Try said
	exported *future[ocispecs.Descriptor] // without attestations
	release  *future[struct{}]            // set when the trial build need not hold the image any longer

	failing    sync.Once // around Phases.Failed
	memorizing sync.WaitGroup
	mu         sync.Mutex
	err        error // what ended the solve, first of all
	shipCalled bool
	shipAlone  bool // it needs the builder no more
	shipEnded  chan struct{}
	shipDone   bool // and it succeeded
}

// errOver ends the build that is still at work when the other one has failed.
var errOver = errors.New("the other half of the build has failed")

func (s *solve) run(ctx context.Context) error {
	s.bases.announceCaches(s.opt)
	s.bases.announcePolicy(s.opt.SourcePolicy)
	sess, closeSession, err := startSession(ctx, s.client, s.inputs, s.opt, s.phases.Gear, s.bases, s.finalize(ctx))
	if err != nil {
		return err
	}
	defer closeSession()
	s.base = client.SolveOpt{SharedSession: sess, SessionPreInitialized: true, AllowedEntitlements: s.opt.Entitlements,
		CacheImports: s.opt.openImports(), SourcePolicy: s.opt.SourcePolicy}

	whole := ctx
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var imageErr, trialErr error
	var wg sync.WaitGroup
	wg.Go(func() {
		defer s.release.set(struct{}{})
		if s.phases.Ship == nil {
			return
		}
		if imageErr = s.buildImage(ctx); imageErr != nil {
			s.decide(imageErr)
			s.trial.fail(errOver)
			s.exported.fail(errOver)
			stop(errOver)
		}
	})
	wg.Go(func() {
		if trialErr = s.buildTrial(ctx); trialErr != nil {
			s.decide(trialErr)
			s.held.fail(errOver)
			s.verdict.fail(s.decided())
			stop(errOver)
		}
	})
	wg.Wait()
	s.awaitShip()
	s.memorizing.Wait()
	if trialErr != nil {
		s.memorize(whole)
	}
	// What was shipped is shipped: that the daemon could not end its side of
	// it well, or was lost then, undoes nothing. And what was not is not, however
	// well both builds ended.
	if s.arrived() || s.phases.Ship == nil && trialErr == nil {
		if t, err := s.trial.get(ctx); err == nil {
			image, _ := s.exported.get(ctx) // it is there, like the trial
			s.result.Passed = Passes{image.Digest, t.passes(), t.notes}
		}
		s.result.CacheErr = s.exportCaches(whole)
		return nil
	}
	if err := context.Cause(ctx); err != nil && !errors.Is(err, errOver) {
		return err // interrupted: whatever else failed, failed of that
	}
	return s.inputs.cause(s.decided())
}

// decide notes what ended the solve. Only the first error counts: what follows
// is the other build being told to stop, or the daemon's rendering of our own
// error, which has lost its type on the way.
func (s *solve) decide(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

func (s *solve) decided() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// buildImage exports the image. Where it matters, the trial joins first:
//
//   - Steps that ignore the cache run once for as long as some build holds them. Before
//     v0.32 this build ends with the export, so what is exported would be built anew for
//     a trial that had not joined by then, and not be what is tried.
//   - Where a failure is to be looked at, it must be the trial's build that fails: this
//     one's steps are gone when the export has failed.
//   - A step that is found in an imported cache is known by the build that found it
//     (solver.CacheKey has an ID for each manager): had this one found the image's, the
//     trial's build would not find the test's, which follow them.
func (s *solve) buildImage(ctx context.Context) error {
	opt := s.base
	opt.FrontendAttrs = maps.Clone(s.inputs.attrs)
	opt.EnableSessionExporter = true
	// One record in the daemon's history is enough for both builds, which costs it
	// several syncs of its disk: that of the one that ends with the verdict.
	if opt.Internal = s.phases.Try != nil; !opt.Internal {
		opt.Ref = identity.NewID()
		s.result.Ref = opt.Ref
	}
	attrs := map[string]string{}
	maps.Copy(attrs, s.opt.ExportAttrs)
	opt.Exports = []client.ExportEntry{{Type: client.ExporterImage, Attrs: attrs}}
	opt.CacheExports = s.opt.inlineCache()

	resp, err := s.client.Build(ctx, opt, "", s.deciding(func(ctx context.Context, c gateway.Client) (*gateway.Result, error) {
		cv, t, err := s.convert(ctx, c)
		if err != nil {
			return nil, err
		}
		s.trial.set(t)
		if s.opt.ignoresCache() || len(s.opt.CacheImports) > 0 || s.phases.Failed != nil {
			if _, err := s.held.get(ctx); err != nil {
				return nil, err
			}
		}
		return cv.image(ctx, t.Images)
	}), s.status.stream())
	if err != nil {
		return err
	}
	// The daemon takes some codes of a failed callback for "no callback".
	if err := s.decided(); err != nil {
		return err
	}
	if s.finalized() {
		return nil
	}
	// Daemons before v0.32 have no callback. There the trial build keeps the
	// layers alive instead.
	if _, err := s.held.get(ctx); err != nil {
		return err
	}
	return s.send(ctx, resp.ExporterResponse)
}

// deciding notes the error of a build function before it crosses the daemon and
// loses its type.
func (s *solve) deciding(f gateway.BuildFunc) gateway.BuildFunc {
	return func(ctx context.Context, c gateway.Client) (*gateway.Result, error) {
		res, err := f(ctx, c)
		if err != nil && ctx.Err() == nil {
			s.decide(err)
		}
		return res, err
	}
}

// convert reads the Dockerfile and converts what the image and its trial need.
func (s *solve) convert(ctx context.Context, c gateway.Client) (*conversion, *Trial, error) {
	if s.inputs.src != nil {
		c = &localFiles{Client: c, src: s.inputs.src}
	}
	staged, err := withInputs(ctx, s.bases.client(c), s.inputs)
	if err != nil {
		return nil, nil, err
	}
	cv, err := openConversion(ctx, staged)
	if err != nil {
		return nil, nil, s.inputs.located(err)
	}
	cv.warned = s.status.warn
	cv.ui.CacheImports = append(cv.ui.CacheImports, s.opt.keyedImports()...)
	if s.result.Syntax, err = cv.chooseFrontend(ctx, c, s.opt.AllowFrontends, s.bases); err != nil {
		return nil, nil, err
	}
	if err := cv.checkLimits(); err != nil {
		return nil, nil, err
	}
	t, err := newTrial(ctx, cv, s.phases)
	if err != nil {
		return nil, nil, err
	}
	t.bases, t.inputs, t.allowed = s.bases, s.inputs, s.opt.AllowFrontends
	t.exported, t.record, t.passedDir = s.exported, s.status.record, s.opt.PassedDir
	t.witness = s.phases.Gear.Witness
	var once sync.Once
	var m *memory
	t.recall = func(ctx context.Context) *memory {
		once.Do(func() { m = s.recall(ctx) })
		return m
	}
	return cv, t, nil
}

func (s *solve) buildTrial(ctx context.Context) error {
	opt := s.base
	opt.FrontendAttrs = unattested(s.inputs.attrs)
	if opt.Internal = s.phases.Ship != nil && s.phases.Try == nil; !opt.Internal && s.phases.Ship != nil {
		opt.Ref = identity.NewID()
		s.result.Ref = opt.Ref
	}
	_, err := s.client.Build(ctx, opt, "", s.deciding(func(ctx context.Context, c gateway.Client) (*gateway.Result, error) {
		t, err := s.trialFor(ctx, c)
		if err != nil {
			return nil, err
		}
		t.Client = c
		if err := s.try(ctx, t); err != nil {
			return nil, err
		}
		if _, err := s.release.get(ctx); err != nil {
			return nil, err
		}
		return s.tried(ctx, t)
	}), s.status.stream())
	return err
}

// trialFor is the image build's conversion, or one of its own if no image is
// exported.
func (s *solve) trialFor(ctx context.Context, c gateway.Client) (*Trial, error) {
	if s.phases.Ship != nil {
		return s.trial.get(ctx)
	}
	_, t, err := s.convert(ctx, c)
	if err == nil {
		s.trial.set(t)
		s.exported.set(ocispecs.Descriptor{}) // and remembered by nobody
	}
	return t, err
}

// try runs the caller's trial and holds the image meanwhile.
func (s *solve) try(parent context.Context, t *Trial) error {
	eg, ctx := errgroup.WithContext(parent)
	eg.Go(func() error {
		if err := t.hold(ctx); err != nil {
			s.failed(parent, t, err)
			return err
		}
		s.held.set(t)
		return nil
	})
	eg.Go(func() error {
		if s.phases.Try != nil {
			err := s.phases.Try(ctx, t)
			if err != nil {
				s.failed(parent, t, err)
			}
			// Whatever becomes of the push, what has passed need not be tried again.
			s.memorizing.Go(func() { s.notePasses(parent, t) })
			if err != nil {
				s.decideUnless(ctx, err)
				s.verdict.fail(err) // Ship need not wait for the build to end
				return err
			}
		}
		return nil
	})
	if err := eg.Wait(); err != nil {
		return err
	}
	s.verdict.set(struct{}{})
	return nil
}

// failed has the caller look at a failure. Whoever comes second waits, so that the
// build does not end meanwhile.
func (s *solve) failed(ctx context.Context, t *Trial, err error) {
	if s.phases.Failed == nil {
		return
	}
	s.failing.Do(func() {
		if ctx.Err() == nil {
			s.phases.Failed(ctx, t, err)
		}
	})
}

// decideUnless is decide for an error that is not merely ctx being over.
func (s *solve) decideUnless(ctx context.Context, err error) {
	if ctx.Err() == nil {
		s.decide(err)
	}
}
