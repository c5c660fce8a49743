package main

import (
	"context"
	"os/exec"
	"time"
)

const beyondTitle = "unchanged image, two tags: beyond the build"

// maxBeyond is what a push of what is there may take after the build of what has not
// changed.
const maxBeyond = 20 * time.Millisecond

// measureBeyond compares building an unchanged image with building and pushing it
// under two tags. The two take turns.
func (b *bench) measureBeyond(ctx context.Context, runs int) (fact, error) {
	dir, err := b.project("beyond", "FROM scratch\nCOPY Dockerfile /\n")
	if err != nil {
		return fact{}, err
	}
	with := func(args ...string) func(context.Context, int) (attempt, error) {
		return func(ctx context.Context, _ int) (attempt, error) {
			args := append(args, "--addr", b.daemon.addr, "--progress", "plain", dir)
			return attempt{commands: []*exec.Cmd{b.command(ctx, "seatrial", args...)}}, nil
		}
	}
	repo := b.registry.host + "/be/yond"
	r, err := scenario{title: beyondTitle, contenders: []contender{
		{"push", 0, with("run", "--untested", "-t", repo+":1", "-t", repo+":latest")},
		{"build", 0, with("build")},
	}}.measure(ctx, runs)
	if err != nil {
		return fact{}, err
	}
	took := median(r.samples[0]) - median(r.samples[1])
	return fact{value: seconds(took), verdict: met(took <= maxBeyond, "<= "+seconds(maxBeyond))}, nil
}
