package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

// suite is a project with tests that are run in its image.
type suite struct {
	*bench
	dir   string
	flags []string
}

// newSuite makes a project out of its files, of which seatrial.yaml is one. Its image has
// them in /project, on top of the base image that is meant to be called python:3-slim.
func (b *bench) newSuite(name string, files map[string]string) (suite, error) {
	return b.newSuiteFrom("python:3-slim", b.base, name, files)
}

// newSuiteFrom has another base image.
func (b *bench) newSuiteFrom(base, source, name string, files map[string]string) (suite, error) {
	dir, err := b.project(name, "FROM "+base+"\n"+copyStep+"\nWORKDIR /project\n")
	if err != nil {
		return suite{}, err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return suite{}, err
		}
	}
	return suite{b, dir, []string{"--build-context", base + "=" + source}}, nil
}

// copyStep is the step of the image that differs from run to run.
const copyStep = "COPY . /project"

// fresh runs the tests in an image that has not been there yet: none has passed.
func (s suite) fresh(ctx context.Context, flags ...string) (trial, error) {
	now := time.Now().Format(time.RFC3339Nano)
	if err := os.WriteFile(filepath.Join(s.dir, "now"), []byte(now), 0o644); err != nil {
		return trial{}, err
	}
	t, err := s.run(ctx, flags...)
	if err == nil {
		fmt.Fprintf(os.Stderr, "%-44s %7.3f s\n", filepath.Base(s.dir), t.took.Seconds())
	}
	return t, err
}

// median is the middle of what take makes of each run, after a warm-up.
func (s suite) median(ctx context.Context, runs int, take func(trial) (time.Duration, error), flags ...string) (time.Duration, error) {
	var took []time.Duration
	for n := range runs + 1 {
		t, err := s.fresh(ctx, flags...)
		if err != nil {
			return 0, err
		}
		d, err := take(t)
		if err != nil {
			return 0, err
		}
		if n > 0 {
			took = append(took, d)
		}
	}
	return middle(took), nil
}

// trial is what came out of running a suite.
type trial struct {
	sample
	progress   []byte // lines of JSON, and the summary
	reports    string // the report directory
	containers int    // how many the daemon started
	result     struct {
		Tests []struct {
			Name    string
			Cached  bool
			Seconds float64
		}
	}
}

// run builds the image and runs its tests, which must pass.
func (s suite) run(ctx context.Context, flags ...string) (t trial, err error) {
	t.reports = s.dir + ".reports"
	if err := os.RemoveAll(t.reports); err != nil {
		return t, err
	}
	file := s.dir + ".json"
	args := append([]string{"test", "--addr", s.daemon.addr, "--progress", "rawjson", "--report-dir", t.reports, "--result-file", file}, s.flags...)
	cmd := s.command(ctx, "seatrial", append(append(args, flags...), s.dir)...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	count, err := s.daemon.countContainers()
	if err != nil {
		return t, err
	}
	started := time.Now()
	err = cmd.Run()
	t.took, t.progress = time.Since(started), output.Bytes()
	var countErr error
	if t.containers, countErr = count(); err != nil {
		return t, fmt.Errorf("running %v: %w\n%s", cmd.Args, err, t.progress)
	}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		t.rss = usage.Maxrss * 1024
	}
	text, err := os.ReadFile(file)
	if err := errors.Join(countErr, err); err != nil {
		return t, err
	}
	if err := json.Unmarshal(text, &t.result); err != nil {
		return t, fmt.Errorf("reading %s: %w", file, err)
	}
	return t, nil
}

// countContainers counts containers from now on. For each, be it a step's or a
// service's, BuildKit's executor makes a directory.
func (d *daemon) countContainers() (func() (int, error), error) {
	found, err := filepath.Glob(filepath.Join(d.root, "runc-*", "executor"))
	if err != nil || len(found) != 1 {
		return nil, fmt.Errorf("looking for the daemon's containers: %d directories, %w", len(found), err)
	}
	w, err := fsnotify.NewBufferedWatcher(10_000)
	if err != nil {
		return nil, err
	}
	if err := w.Add(found[0]); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return func() (int, error) { return countDirectories(w, found[0]) }, nil
}

// countDirectories counts those that were made since w began, and ends w. A file that
// is made now comes after all of them.
func countDirectories(w *fsnotify.Watcher, dir string) (int, error) {
	defer w.Close()
	last := filepath.Join(dir, ".bench")
	if err := errors.Join(os.WriteFile(last, nil, 0o600), os.Remove(last)); err != nil {
		return 0, err
	}
	id := regexp.MustCompile(`^[0-9a-z]{25}$`) // a container's; there are other files
	n := 0
	for {
		select {
		case event := <-w.Events:
			switch {
			case event.Name == last:
				return n, nil
			case event.Has(fsnotify.Create) && id.MatchString(filepath.Base(event.Name)):
				n++
			}
		case err := <-w.Errors:
			return 0, fmt.Errorf("watching %s: %w", dir, err)
		}
	}
}
