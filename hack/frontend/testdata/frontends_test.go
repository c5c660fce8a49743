package dockerfile

// This file is laid over BuildKit's own tests (run.sh) and compiled as part of
// their package. Its name must sort behind theirs there, so that its init runs
// after the one that fills opts.

import (
	"os"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/builder"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/util/testutil/integration"
	"github.com/seatrial/seatrial/llb"
)

// seatrialImage is llb.Frontend as a frontend image, in the tests' mirror.
const seatrialImage = "buildkit_test/seatrial:latest"

// builds makes the tests' client frontend one whose BuildFunc can be chosen.
// The tests ask for that type to know that a frontend runs in the client.
type builds struct {
	build gateway.BuildFunc
}

func (b builds) buildFunc() gateway.BuildFunc {
	if b.build == nil {
		return builder.Build
	}
	return b.build
}

func init() {
	all := map[string]frontend{
		"builtin":        &builtinFrontend{},
		"client":         &clientFrontend{},
		"seatrial":       &clientFrontend{builds{llb.Frontend}},
		"seatrial-image": &gatewayFrontend{gw: seatrialImage},
	}
	chosen := map[string]any{}
	for _, name := range strings.Fields(os.Getenv("FRONTENDS")) {
		chosen[name] = all[name]
	}
	opts = append(opts, integration.WithMatrix("frontend", chosen))
}
