package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
)

// options are what the command line says.
type options struct {
	runs    int    // timed runs of each contender in each scenario
	layerMB int    // size of each of the four layers of the large image
	output  string // the report's file
	only    *regexp.Regexp
}

func main() {
	opt := options{only: regexp.MustCompile("")}
	flag.IntVar(&opt.runs, "n", 7, "timed `runs` of each contender, after a warm-up")
	flag.IntVar(&opt.layerMB, "layer", 200, "size of the large image's four layers, in `MB`")
	flag.StringVar(&opt.output, "o", "hack/bench/RESULTS.md", "`file` to keep the results in")
	flag.Func("run", "measure only what has a title that matches `REGEXP`, and keep no file", func(s string) (err error) {
		opt.only, err = regexp.Compile(s)
		return err
	})
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
	if report.results, err = b.measureScenarios(ctx, opt); err != nil {
		return err
	}
	if report.facts, err = b.measureFacts(ctx, opt); err != nil {
		return err
	}
	fmt.Print(report.table())
	if opt.only.String() != "" {
		return nil // the file is for all
	}
	return os.WriteFile(filepath.Join(root, opt.output), []byte(report.markdown(ctx, b)), 0o644)
}

// scenarios are all, in the order of the report.
func (b *bench) scenarios(layerMB int) ([]scenario, error) {
	unchanged, err := b.flaskUnchanged()
	if err != nil {
		return nil, err
	}
	changed, err := b.flaskChanged()
	if err != nil {
		return nil, err
	}
	large, small, layered, many := b.newLarge(4, layerMB), b.newLarge(4, 20), b.newLarge(20, 4), b.newMany()
	return slices.Concat([]scenario{unchanged, changed}, large.push(), []scenario{
		large.far(), small.far(), layered.far(), large.unchanged(), many.unchanged(),
	}), nil
}

// measureScenarios runs those that are wanted, one after the other.
func (b *bench) measureScenarios(ctx context.Context, opt options) ([]result, error) {
	all, err := b.scenarios(opt.layerMB)
	if err != nil {
		return nil, err
	}
	var results []result
	for _, s := range all {
		if !opt.only.MatchString(s.title) {
			continue
		}
		r, err := s.measure(ctx, opt.runs)
		if err != nil {
			return nil, fmt.Errorf("measuring %s: %w", s.title, err)
		}
		results = append(results, r)
	}
	return results, nil
}
