package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// maxReady is how soon a private daemon must answer.
const maxReady = 500 * time.Millisecond

// measureReady has seatrial start a private daemon with a state directory that
// is new each time, and takes from its result file how long it was until the
// daemon answered.
func (b *bench) measureReady(ctx context.Context, runs int) (fact, error) {
	dir, err := b.project("tiny", "FROM scratch\nCOPY Dockerfile /\n")
	if err != nil {
		return fact{}, err
	}
	var took []time.Duration
	for n := range runs {
		ready, err := b.readyOnce(ctx, dir, n)
		if err != nil {
			return fact{}, err
		}
		fmt.Fprintf(os.Stderr, "%-44s run %d  %-9s %7.3f s\n", "private daemon", n+1, "ready in", ready.Seconds())
		took = append(took, ready)
	}
	return within(middle(took), maxReady), nil
}

func (b *bench) readyOnce(ctx context.Context, dir string, n int) (time.Duration, error) {
	cache := filepath.Join(b.work, fmt.Sprintf("private-%d", n))
	file := filepath.Join(b.work, "result.json")
	cmd := b.command(ctx, "seatrial", "run", "--addr", "private", "--untested", "--progress", "plain",
		"--result-file", file, "-t", b.registry.host+"/tiny/private:1", dir)
	cmd.Env = append(cmd.Env, "XDG_CACHE_HOME="+cache)
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("running %v: %w\n%s", cmd.Args, err, out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	var result struct {
		Phases []struct {
			Name    string
			Seconds float64
		}
	}
	if err := json.Unmarshal(text, &result); err != nil {
		return 0, fmt.Errorf("reading %s: %w", file, err)
	}
	for _, phase := range result.Phases {
		if phase.Name == "connect" {
			return time.Duration(phase.Seconds * float64(time.Second)), b.remove(cache)
		}
	}
	return 0, fmt.Errorf("reading %s: no phase called connect", file)
}
