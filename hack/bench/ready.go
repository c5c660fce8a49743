package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// measureReady has seatrial start a private daemon with a state directory that
// is new each time, and takes from its result file how long it was until the
// daemon answered.
func (b *bench) measureReady(ctx context.Context, runs int) ([]time.Duration, error) {
	dir := filepath.Join(b.work, "tiny")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\nCOPY Dockerfile /\n"), 0o644); err != nil {
		return nil, err
	}
	var took []time.Duration
	for n := range runs {
		ready, err := b.readyOnce(ctx, dir, n)
		if err != nil {
			return nil, fmt.Errorf("measuring a private daemon's start: %w", err)
		}
		fmt.Fprintf(os.Stderr, "%-44s run %d  %-9s %7.3f s\n", "private daemon", n+1, "ready in", ready.Seconds())
		took = append(took, ready)
	}
	return took, nil
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
