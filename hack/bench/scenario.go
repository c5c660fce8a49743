package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"
)

// scenario is one task that every contender does.
type scenario struct {
	title      string
	contenders []contender
	// prepare makes what all runs need, unless it is there. It may be nil.
	prepare func() error
}

// contender is one way to do it.
type contender struct {
	name string
	// limit is how long seatrial may take at most, in times of what this one
	// takes; 0 for no limit.
	limit float64
	// setup prepares the n-th run, the 0th being the warm-up. It is not timed.
	setup func(ctx context.Context, n int) (attempt, error)
}

// attempt is a run that is ready to go.
type attempt struct {
	commands []*exec.Cmd  // timed together, one after the other
	done     func() error // cleans up, untimed; may be nil
}

// sample is what one run cost.
type sample struct {
	took time.Duration
	rss  int64 // the client's peak resident memory in bytes, its largest command's
}

// result has the samples of a scenario's contenders, in their order.
type result struct {
	scenario scenario
	samples  [][]sample
}

// measure runs the contenders in turns, so that what disturbs the machine
// disturbs them alike: a warm-up each, then runs timed ones each.
func (s scenario) measure(ctx context.Context, runs int) (result, error) {
	r := result{scenario: s, samples: make([][]sample, len(s.contenders))}
	if s.prepare != nil {
		if err := s.prepare(); err != nil {
			return r, fmt.Errorf("preparing: %w", err)
		}
	}
	for n := range runs + 1 {
		for i, c := range s.contenders {
			got, err := c.once(ctx, n)
			if err != nil {
				return r, fmt.Errorf("running %s: %w", c.name, err)
			}
			fmt.Fprintf(os.Stderr, "%-44s run %d  %-9s %7.3f s\n", s.title, n, c.name, got.took.Seconds())
			if n > 0 {
				r.samples[i] = append(r.samples[i], got)
			}
		}
	}
	return r, nil
}

// once does the n-th run.
func (c contender) once(ctx context.Context, n int) (got sample, err error) {
	a, err := c.setup(ctx, n)
	if err != nil {
		return got, fmt.Errorf("preparing: %w", err)
	}
	if a.done != nil {
		defer func() { err = errors.Join(err, a.done()) }()
	}
	started := time.Now()
	for _, cmd := range a.commands {
		var output bytes.Buffer
		cmd.Stdout, cmd.Stderr = &output, &output
		if err := cmd.Run(); err != nil {
			return got, fmt.Errorf("running %v: %w\n%s", cmd.Args, err, &output)
		}
		if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			got.rss = max(got.rss, usage.Maxrss*1024)
		}
	}
	got.took = time.Since(started)
	return got, nil
}

// median of the runs' times.
func median(samples []sample) time.Duration {
	var took []time.Duration
	for _, s := range samples {
		took = append(took, s.took)
	}
	return middle(took)
}

// peak is the largest memory of all runs.
func peak(samples []sample) int64 {
	var most int64
	for _, s := range samples {
		most = max(most, s.rss)
	}
	return most
}

func middle(took []time.Duration) time.Duration {
	took = slices.Sorted(slices.Values(took))
	n := len(took)
	if n == 0 {
		return 0
	}
	return (took[(n-1)/2] + took[n/2]) / 2
}
