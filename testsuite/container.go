package testsuite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	gateway "github.com/moby/buildkit/frontend/gateway/client"
	gatewaypb "github.com/moby/buildkit/frontend/gateway/pb"

	"github.com/seatrial/seatrial/testsuite/structure"
)

// maxOutput is how much a command of a structure test may print.
const maxOutput = 64 << 20

// releaseTimeout is for the end of a container when its test has to end.
const releaseTimeout = 5 * time.Second

// runContainer runs one command in a container of its own, which ends with it. The
// output is whole, and the exit code exact. An error says that the command did not
// run to its end, or printed too much.
func runContainer(ctx context.Context, c gateway.Client, req gateway.NewContainerRequest, start gateway.StartRequest) (structure.Output, error) {
	ctr, err := c.NewContainer(ctx, req)
	if err != nil {
		return structure.Output{}, fmt.Errorf("creating container: %w", err)
	}
	// Release returns the error of the command again.
	release := func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
		defer cancel()
		_ = ctr.Release(ctx)
	}
	defer release()
	stdout, stderr := &capture{}, &capture{}
	start.Stdout, start.Stderr = stdout, stderr
	proc, err := ctr.Start(ctx, start)
	if err != nil {
		return structure.Output{}, fmt.Errorf("starting %s: %w", start.Args[0], err)
	}
	ended := make(chan error, 1)
	go func() { ended <- proc.Wait() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		release() // which ends the process, and so Wait
		return structure.Output{}, context.Cause(ctx)
	}
	return output(start.Args[0], stdout, stderr, err)
}

func output(name string, stdout, stderr *capture, err error) (structure.Output, error) {
	out := structure.Output{Stdout: stdout.buf.Bytes(), Stderr: stderr.buf.Bytes()}
	var exit *gatewaypb.ExitError
	switch {
	case stdout.over || stderr.over:
		return out, fmt.Errorf("%s printed more than %d MiB", name, maxOutput>>20)
	case err == nil:
		return out, nil
	case !errors.As(err, &exit) || exit.ExitCode == gatewaypb.UnknownExitStatus && exit.Error() != exited255:
		return out, fmt.Errorf("running %s: %w", name, err)
	case notStarted(name, stderr.buf.String()):
		return out, fmt.Errorf("starting %s: %s", name, strings.TrimSpace(stderr.buf.String()))
	}
	out.ExitCode = int(exit.ExitCode)
	return out, nil
}

// exited255 is what the daemon says of a command that exited with the code that it
// also has for one of which it does not know how it ended.
const exited255 = "exit code: 255"

// notStarted recognises what runc and crun say of a command that they could not
// start: for the daemon it then ran, and exited with 1. One whose interpreter is
// missing is such a command.
func notStarted(name, stderr string) bool {
	if strings.Count(strings.TrimSpace(stderr), "\n") > 0 {
		return false
	}
	for _, prefix := range []string{"runc run failed: ", "exec " + name + ": ", "crun: "} {
		if strings.HasPrefix(stderr, prefix) {
			return true
		}
	}
	return false
}

// capture keeps what is written to it. It never blocks: all processes of a build
// share one stream.
type capture struct {
	buf  bytes.Buffer
	over bool
}

func (c *capture) Write(p []byte) (int, error) {
	if c.buf.Len()+len(p) > maxOutput {
		c.over = true
		return len(p), nil
	}
	return c.buf.Write(p)
}

// Close is for the gateway.
func (*capture) Close() error { return nil }
