// Command image is llb.Frontend as the program of a frontend image, which
// BuildKit runs in a container. seatrial itself converts in the client; this is
// for those of BuildKit's tests that only a frontend in the daemon can be given.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/moby/buildkit/frontend/gateway/grpcclient"
	_ "github.com/moby/buildkit/util/grpcutil/encoding/proto" // as the daemon speaks it
	"github.com/seatrial/seatrial/llb"
)

func main() {
	if err := grpcclient.RunFromEnvironment(context.Background(), llb.Frontend); err != nil {
		fmt.Fprintln(os.Stderr, "frontend:", err)
		os.Exit(1)
	}
}
