package llb

import (
	"slices"
	"testing"

	"github.com/moby/buildkit/frontend/dockerui"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/apicaps"
	apicapspb "github.com/moby/buildkit/util/apicaps/pb"
)

// optsClient is a gateway that knows nothing but its options.
type optsClient struct {
	gateway.Client
	opts gateway.BuildOpts
}

func (c optsClient) BuildOpts() gateway.BuildOpts { return c.opts }

// TestLimitsNeedTheDaemon asks a daemon for limits that does not know them, and would
// ignore them.
func TestLimitsNeedTheDaemon(t *testing.T) {
	known := pb.Caps.All()
	unknown := slices.DeleteFunc(slices.Clone(known), func(c *apicapspb.APICap) bool {
		return apicaps.CapID(c.ID) == pb.CapExecMetaLinuxResources
	})
	for _, c := range []struct {
		caps    []*apicapspb.APICap
		opts    Options
		refused bool
	}{
		{known, limited(1 << 20), false},
		{unknown, limited(1 << 20), true},
		{unknown, limited(0), false},
	} {
		ui, err := dockerui.NewClient(optsClient{opts: gateway.BuildOpts{Opts: c.opts.attrs(), LLBCaps: pb.Caps.CapSet(c.caps)}})
		if err != nil {
			t.Fatal(err)
		}
		if err := (&conversion{ui: ui}).checkLimits(); (err != nil) != c.refused {
			t.Errorf("checkLimits() with a limit of %d = %v, want refused: %t", c.opts.Resources.Memory, err, c.refused)
		}
	}
}

func limited(memory int64) Options {
	var opt Options
	opt.Resources.Memory = memory
	return opt
}
