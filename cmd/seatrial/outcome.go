package main

import (
	"errors"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seatrial/seatrial/cmd/internal/buildkitd"
	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/registry"
	"github.com/seatrial/seatrial/testsuite"
)

// outcome is what happened: the model that summary, result file and standard
// output only read, so that they cannot disagree.
type outcome struct {
	mode        mode
	names       []string       // the image's, in outputs
	nowhere     bool           // there are no outputs, but a name
	noted       []finding      // before the build
	compression string         // of layers; "" for the default
	stayed      map[string]int // how many layers are compressed otherwise, by how
	started     time.Time
	duration    time.Duration
	err         error

	builders []*buildkitd.Builder
	builder  *buildkitd.Builder // the first
	result   *llb.Result
	report   *testsuite.Report
	signed   *signatures // of the result of the tests; nil: there are none
	pushed   []registry.Pushed
	preview  *preview // of a dry run
	unread   []string // caches that could not be read, each with why
	wrote    []output
	builds   []*share // that ended well
	shown    bool     // failed steps' output was shown as it came
	mu       sync.Mutex
	phases   []phase
	solving  time.Time
	exportAt time.Time
}

// phase is a part of the whole; phases overlap.
type phase struct {
	Name     string
	Duration time.Duration
}

// phase starts a phase; the function it returns ends it.
func (o *outcome) phase(name string) func() {
	start := time.Now()
	return func() { o.add(name, time.Since(start)) }
}

func (o *outcome) add(name string, d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.phases = append(o.phases, phase{name, d})
}

func (o *outcome) connected(builders []*buildkitd.Builder) {
	o.builders = builders
	if len(builders) > 0 {
		o.builder = builders[0]
	}
	o.add("connect", time.Since(o.started))
	o.solving = time.Now()
}

// replaced notes that there is another builder in the place of one that was given back.
func (o *outcome) replaced(was, is *buildkitd.Builder) {
	for i, b := range o.builders {
		if b == was {
			o.builders[i] = is
		}
	}
	if o.builder == was {
		o.builder = is
	}
}

// exported notes that the image lies in the builder's content store.
func (o *outcome) exported() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.exportAt = time.Now()
}

func (o *outcome) built(res *llb.Result) {
	o.result = res
	end := o.exportAt
	if end.IsZero() {
		end = time.Now()
	}
	o.add("build", end.Sub(o.solving))
	if _, compressing := res.Record.Compression(); compressing > 0 {
		o.add("compress", compressing)
	}
}

// syntax says what converted the Dockerfile, if that asked for anything.
func (o *outcome) syntax() string {
	if o.result == nil {
		return ""
	}
	return o.result.Syntax.String()
}

func (o *outcome) finish(err error) {
	if o.report != nil && o.report.Duration() > 0 { // some test ran
		o.add("test", o.report.Duration())
	}
	o.err = err
	o.duration = time.Since(o.started)
}

// addReport adds the tests of one solve.
func (o *outcome) addReport(rep *testsuite.Report) {
	if o.report == nil {
		o.report = rep
	} else {
		o.report.Cases = append(o.report.Cases, rep.Cases...)
		o.report.Untested = append(o.report.Untested, rep.Untested...)
	}
}

// close gives the builders back.
func (o *outcome) close() error {
	var errs []error
	for _, b := range o.builders {
		errs = append(errs, b.Close())
	}
	return errors.Join(errs...)
}

// results are the lines for standard output, which may be an output itself.
func (p *plan) results(o *outcome) []string {
	if p.outputs.stdout() {
		return nil
	}
	if o.mode == modeBuild && !p.outputs.push {
		if o.err == nil && o.result != nil {
			return []string{o.result.Descriptor.Digest.String()}
		}
		return nil
	}
	var lines []string
	for _, p := range o.pushed {
		lines = append(lines, canonical(p.Reference)+"@"+p.Digest.String())
	}
	return lines
}

func hash(s string) (v1.Hash, error) { return v1.NewHash(s) }
