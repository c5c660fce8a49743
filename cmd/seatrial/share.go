package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/seatrial/seatrial/cmd/internal/buildkitd"
	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/registry"
	"github.com/seatrial/seatrial/testsuite"
)

// share is what one of several builders does: the image for some platforms, and
// its tests, in a solve of its own.
type share struct {
	builder   *buildkitd.Builder
	platforms []string
	suite     *testsuite.Suite // nil: nothing is tested
	result    *llb.Result
	image     *llb.Shipment
	artifact  registry.Artifact
}

// able are the platforms that a builder can execute, its own first.
func able(ctx context.Context, b *buildkitd.Builder) ([]ocispecs.Platform, error) {
	workers, err := b.Client.ListWorkers(ctx)
	if err != nil {
		return nil, &lostError{addr: b.Addr, err: err}
	}
	var list []ocispecs.Platform
	for _, w := range workers {
		list = append(list, w.Platforms...)
	}
	return list, nil
}

// distribute gives each wanted platform to the builder that is of that kind, or else
// to the first that can emulate it. Without any wanted, each builder's own is.
func distribute(ctx context.Context, builders []*buildkitd.Builder, wanted []string) ([]*share, error) {
	have := make([][]ocispecs.Platform, len(builders))
	g, gctx := errgroup.WithContext(ctx)
	for i, b := range builders {
		g.Go(func() (err error) {
			have[i], err = able(gctx, b)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if len(wanted) == 0 {
		wanted = natives(have)
	}
	shares := make([]*share, len(builders))
	for _, want := range wanted {
		i := serving(have, platforms.MustParse(want))
		if i < 0 {
			return nil, usagef("name a builder for it with one more --addr", "no builder can run %s: %s", want, inventory(builders, have))
		}
		if shares[i] == nil {
			shares[i] = &share{builder: builders[i]}
		}
		shares[i].platforms = append(shares[i].platforms, want)
	}
	return slices.DeleteFunc(shares, func(s *share) bool { return s == nil }), nil
}

// natives are the builders' own platforms, each once.
func natives(have [][]ocispecs.Platform) []string {
	var out []string
	for _, list := range have {
		if len(list) > 0 {
			if p := platforms.Format(list[0]); !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}

// serving is the index of the builder for a platform, -1 if there is none.
func serving(have [][]ocispecs.Platform, want ocispecs.Platform) int {
	emulated := -1
	for i, list := range have {
		switch at := slices.IndexFunc(list, func(p ocispecs.Platform) bool { return platforms.NewMatcher(p).Match(want) }); {
		case at < 0:
		case list[at].Architecture == list[0].Architecture:
			return i
		case emulated < 0:
			emulated = i
		}
	}
	return emulated
}

func inventory(builders []*buildkitd.Builder, have [][]ocispecs.Platform) string {
	out := make([]string, len(builders))
	for i, b := range builders {
		names := make([]string, len(have[i]))
		for j, p := range have[i] {
			names[j] = platforms.Format(p)
		}
		out[i] = fmt.Sprintf("%s has %s", b.Addr, strings.Join(names, ", "))
	}
	return strings.Join(out, "; ")
}
