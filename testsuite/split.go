package testsuite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"strings"
	"sync"
	"time"

	gateway "github.com/moby/buildkit/frontend/gateway/client"

	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/testsuite/helper/protocol"
)

// split is how the files of a test are shared out among its shards. It is a step of the
// build like the test itself, on the same filesystem: what it came to is cached for as
// long as that does not change, while the durations that it goes by, which are in no
// cache key, become others with every run. So no shard of a suite that has not changed
// gets another list, and no file is forgotten between two lists.
type split struct {
	test  Test
	image *llb.Stage

	once      sync.Mutex
	run       *run                    // of the step; under Suite.mu
	stop      context.CancelCauseFunc // ends the step; under Suite.mu
	lists     [][]string
	err       error
	durations map[string]float64 // of earlier runs
	measured  map[string]float64 // of this one; under Suite.mu
}

// SplitError says that files could not be shared out.
type SplitError struct{ Message string }

func (e *SplitError) Error() string { return "sharing out its files: " + e.Message }

// shareOut gives a shard the list of its files.
func (s *Suite) shareOut(ctx context.Context, t *llb.Trial, r *run) error {
	if r.split == nil {
		return nil
	}
	lists, err := r.split.share(ctx, s, t, r)
	if err != nil {
		return err
	}
	r.files = lists[r.shard-1]
	return s.build(ctx, t, r)
}

// share runs the step, for the first shard that asks.
func (sp *split) share(ctx context.Context, s *Suite, t *llb.Trial, r *run) ([][]string, error) {
	sp.once.Lock()
	defer sp.once.Unlock()
	if sp.lists != nil || sp.err != nil {
		return sp.lists, sp.err
	}
	var err error
	sp.durations = map[string]float64{}
	_ = json.Unmarshal(t.Noted(ctx, sp.key(r.platform)), &sp.durations) // what is not known is measured
	step := &run{name: r.name + " (files of shards)", platform: r.platform, image: r.image}
	if step.test, err = sp.step(); err != nil {
		return nil, err
	}
	timed, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	s.mu.Lock()
	sp.run, sp.stop = step, stop
	s.mu.Unlock()
	if err := s.build(ctx, t, step); err != nil {
		return nil, err
	}
	lists, err := s.trySplit(timed, t, step)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if timed.Err() != nil {
		lists, err = nil, &SplitError{"the time limit of the test is over"}
	}
	sp.lists, sp.err = lists, err
	return lists, err
}

// step is the test, as far as its files go, with another command.
func (sp *split) step() (Test, error) {
	t := sp.test
	args, err := protocol.Args(protocol.ModeSplit, protocol.Split{
		Patterns: t.Split, Shards: t.Shards, Out: protocol.OutDir, Control: protocol.ControlFile,
	})
	return Test{Args: args, Timeout: t.Timeout, From: t.From, Platform: t.Platform, Env: t.Env, Workdir: t.Workdir, User: t.User, Network: t.Network, Mounts: t.Mounts}, err
}

// trySplit runs the step, anew if what it came to is that of another image.
func (s *Suite) trySplit(ctx context.Context, t *llb.Trial, step *run) ([][]string, error) {
	solve := t.Solve
	for try := 0; ; try++ {
		if s.NoCache || try > 0 {
			solve = t.SolveAnew
		}
		ref, err := s.solve(ctx, t, step, solve)
		lists, tr, err := readSplit(ctx, t, step, ref, err)
		if err != nil {
			return nil, err
		}
		mark := step.mark(t, tr)
		if err = s.confirm(ctx, t, step, mark); err == nil {
			t.Remember(mark)
			return lists, nil
		}
		if !errors.Is(err, errElsewhere) || try > 0 {
			return nil, err
		}
	}
}

func readSplit(ctx context.Context, t *llb.Trial, step *run, ref gateway.Reference, failed error) ([][]string, *trace, error) {
	if failed != nil && !isTestFailure(t, failed) {
		return nil, nil, failed
	}
	tr := &trace{code: -1}
	left, err := t.Remains(ctx, step.graph, ref, failed)
	defer left.Release(context.WithoutCancel(ctx))
	if err == nil {
		err = tr.read(ctx, left)
	}
	if failed != nil {
		message := strings.TrimPrefix(string(bytes.TrimSpace(tr.tail)), "seatrial: ")
		if message == "" {
			message = failed.Error()
		}
		return nil, nil, &SplitError{message}
	}
	if err != nil {
		return nil, nil, err
	}
	if len(left.Outputs) == 0 {
		return nil, nil, errNoHelper(step.image.Platform)
	}
	out := left.Outputs[0]
	dt, err := out.Tree.ReadFile(ctx, gateway.ReadRequest{Filename: path.Join(out.Dir, protocol.SplitFile)})
	if err != nil {
		return nil, nil, fmt.Errorf("reading the lists of the shards: %w", err)
	}
	var lists [][]string
	if err := json.Unmarshal(dt, &lists); err != nil || len(lists) == 0 {
		return nil, nil, fmt.Errorf("reading the lists of the shards: %w", err)
	}
	return lists, tr, nil
}

// control is what the step is told, whose time begins now. Suite.mu is held.
func (sp *split) control(left time.Duration, limited bool) []byte {
	sp.run.asked++
	switch {
	case limited && left <= 0:
		sp.stop(errOvertime)
	case limited:
		time.AfterFunc(left, func() { sp.stop(errOvertime) })
	}
	dt, err := json.Marshal(protocol.Control{Durations: sp.durations})
	if err != nil {
		return []byte("{}")
	}
	return dt
}

// key is what durations are noted under.
func (sp *split) key(platform string) string {
	return strings.Join(append([]string{"durations", sp.test.name(), platform}, sp.test.Split...), "\x00")
}

// maxDurations is how many files the durations of are kept.
const maxDurations = 3000

// noteDurations keeps how long the files took, for when they are shared out again.
func (s *Suite) noteDurations(t *llb.Trial) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.runs {
		sp := r.split
		if sp == nil || len(sp.measured) == 0 {
			continue
		}
		if len(sp.durations)+len(sp.measured) < maxDurations { // those of other branches, or another project
			all := maps.Clone(sp.durations)
			maps.Copy(all, sp.measured)
			sp.measured = all
		}
		if dt, err := json.Marshal(sp.measured); err == nil {
			t.Note(sp.key(r.platform), dt)
		}
		sp.measured = nil // not once more for the next shard
	}
}

// measure adds up how long the files of a shard that has run took.
func (s *Suite) measure(r *run, tr *trace) {
	if r.split == nil || tr.report == nil {
		return
	}
	took := durations(tr.report, r.files)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.split.measured == nil {
		r.split.measured = map[string]float64{}
	}
	maps.Copy(r.split.measured, took)
}
