package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const (
	farRoundTrip   = 40 * time.Millisecond
	maxRequests    = 4
	baseMB         = 200
	maxBaseTraffic = 1 << 20 // manifests, configs and the new layer
)

// push are the measurements of what a push asks and sends where there is little to do.
func (b *bench) push() []measurement {
	return []measurement{
		{beyondTitle, b.measureBeyond},
		{"unchanged image, two tags", b.twoTags},
		{fmt.Sprintf("base of %d MB in the registry: traffic", baseMB), b.baseThere},
	}
}

// twoTags pushes an image to where it is already.
func (b *bench) twoTags(ctx context.Context, _ int) (fact, error) {
	watched := newCounter(b.registry.host)
	defer watched.server.Close()
	dir, err := b.project("two-tags", "FROM scratch\nCOPY Dockerfile /\n")
	if err != nil {
		return fact{}, err
	}
	for range 2 {
		watched.forget()
		repo := watched.host + "/two/tags"
		if err := b.seatrial(ctx, dir, "-t", repo+":1", "-t", repo+":latest"); err != nil {
			return fact{}, err
		}
	}
	requests := watched.requests.Load()
	return fact{value: fmt.Sprintf("%d req", requests), verdict: met(requests <= maxRequests, fmt.Sprintf("<= %d", maxRequests))}, nil
}

// baseThere pushes an image whose base is in another repository of the registry, and
// already in the builder too.
func (b *bench) baseThere(ctx context.Context, _ int) (fact, error) {
	watched := newCounter(b.registry.host)
	defer watched.server.Close()
	dir, err := b.project("big-base", "FROM scratch\nCOPY layer /layer\n")
	if err != nil {
		return fact{}, err
	}
	if err := random(filepath.Join(dir, "layer"), baseMB*1_000_000); err != nil {
		return fact{}, err
	}
	base := watched.host + "/base/big:1"
	if err := b.seatrial(ctx, dir, "-t", base); err != nil {
		return fact{}, err
	}
	dir, err = b.project("on-big-base", "FROM "+base+"\nCOPY Dockerfile /\n")
	if err != nil {
		return fact{}, err
	}
	for _, repo := range []string{"/team/first:1", "/team/second:1"} { // the first has the builder pull the base
		watched.forget()
		if err := b.seatrial(ctx, dir, "-t", watched.host+repo); err != nil {
			return fact{}, err
		}
	}
	moved := watched.bytes.Load()
	return fact{value: fmt.Sprintf("%d KiB", moved>>10), verdict: met(moved < maxBaseTraffic, fmt.Sprintf("< %d KiB", maxBaseTraffic>>10))}, nil
}

func (b *bench) project(name, dockerfile string) (string, error) {
	dir := filepath.Join(b.work, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o644)
}

// seatrial builds and pushes a project.
func (b *bench) seatrial(ctx context.Context, dir string, flags ...string) error {
	args := append([]string{"run", "--addr", b.daemon.addr, "--progress", "plain", "--untested"}, flags...)
	cmd := b.command(ctx, "seatrial", append(args, dir)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("running %v: %w\n%s", cmd.Args, err, out)
	}
	return nil
}

// far pushes to an empty registry at a distance.
func (l large) far() scenario {
	into := func(run func(large, context.Context, string) *exec.Cmd) func(context.Context, int) (attempt, error) {
		return func(ctx context.Context, n int) (attempt, error) {
			dir := filepath.Join(l.work, fmt.Sprintf("far-%d", n))
			r, err := startRegistry(dir)
			if err != nil {
				return attempt{}, err
			}
			d, err := newDistance(r.host, farRoundTrip)
			if err != nil {
				r.stop()
				return attempt{}, err
			}
			syscall.Sync()
			done := func() error {
				_ = d.close()
				r.stop()
				return os.RemoveAll(dir)
			}
			return attempt{[]*exec.Cmd{run(l, ctx, d.host+"/large:1")}, done}, nil
		}
	}
	return scenario{fmt.Sprintf("%d MB in %d layers, %d ms away", l.size, l.layers, farRoundTrip.Milliseconds()), []contender{
		{"seatrial", 0, into(large.seatrial)},
		{"buildctl", 1.1, into(large.buildctl)},
	}, l.write}
}
