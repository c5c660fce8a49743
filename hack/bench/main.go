package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
)

// options are what the command line says.
type options struct {
	runs    int    // timed runs of each contender in each scenario
	layerMB int    // size of each of the four layers of the large image
	output  string // the report's file
}

func main() {
	var opt options
	flag.IntVar(&opt.runs, "n", 7, "timed `runs` of each contender, after a warm-up")
	flag.IntVar(&opt.layerMB, "layer", 200, "size of the large image's four layers, in `MB`")
	flag.StringVar(&opt.output, "o", "hack/bench/RESULTS.md", "`file` to keep the results in")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, opt); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures everything and writes the report. Nothing that it started is
// left when it returns.
func run(ctx context.Context, opt options) (err error) {
	root, err := filepath.Abs(".")
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(root, "hack/bench/doc.go")); err != nil {
		return errors.New("starting: run it at the top of the repository, as make bench does")
	}
	b, err := newBench(ctx, root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	report := report{layerMB: opt.layerMB, runs: opt.runs}
	if report.results, err = b.measureAll(ctx, opt); err != nil {
		return err
	}
	if report.ready, err = b.measureReady(ctx, opt.runs); err != nil {
		return err
	}
	if report.facts, err = b.measurePush(ctx, opt.runs); err != nil {
		return err
	}
	fmt.Print(report.table())
	return os.WriteFile(filepath.Join(root, opt.output), []byte(report.markdown(ctx, b)), 0o644)
}

// measureAll runs the scenarios one after the other.
func (b *bench) measureAll(ctx context.Context, opt options) ([]result, error) {
	unchanged, err := b.flaskUnchanged()
	if err != nil {
		return nil, err
	}
	changed, err := b.flaskChanged()
	if err != nil {
		return nil, err
	}
	large, err := b.newLarge(opt.layerMB)
	if err != nil {
		return nil, err
	}
	small, err := b.newLarge(smallLayerMB)
	if err != nil {
		return nil, err
	}
	many, err := b.newMany()
	if err != nil {
		return nil, err
	}
	var results []result
	for _, s := range slices.Concat([]scenario{unchanged, changed}, large.push(), []scenario{large.far(), small.far(), large.unchanged(), many.unchanged()}) {
		r, err := s.measure(ctx, opt.runs)
		if err != nil {
			return nil, fmt.Errorf("measuring %s: %w", s.title, err)
		}
		results = append(results, r)
	}
	return results, nil
}
