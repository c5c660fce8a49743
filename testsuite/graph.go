package testsuite

import (
	"context"
	"errors"
	"fmt"
	"strings"

	bkllb "github.com/moby/buildkit/client/llb"
	gatewaypb "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/solver/errdefs"
	digest "github.com/opencontainers/go-digest"
	"github.com/seatrial/seatrial/llb"
)

// graph is the test as build steps on top of image.
func (t Test) graph(ctx context.Context, trial *llb.Trial, title string, image *llb.Stage) (*llb.Graph, error) {
	if t.Stage != "" {
		st, err := trial.Stage(t.Stage, image.Platform)
		if err != nil {
			return nil, err
		}
		return trial.StageGraph(st)
	}
	opts := append(image.RunOptions(), bkllb.Args(t.argv(image)), bkllb.WithCustomName("[test] "+title))
	return trial.StateGraph(ctx, image.State.Run(opts...).Root())
}

// argv is the command through the image's shell, as the shell form of RUN has it.
func (t Test) argv(image *llb.Stage) []string {
	shell := image.Image.Config.Shell
	if len(shell) == 0 {
		shell = []string{"/bin/sh", "-c"}
	}
	return append(append([]string(nil), shell...), t.Command)
}

// display keeps a long command from filling the terminal.
func display(name string) string {
	const most = 60
	if r := []rune(name); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return name
}

// title names a test on a platform, if there may be others.
func title(name, platform string) string {
	if platform == "" {
		return display(name)
	}
	return display(name) + " (" + platform + ")"
}

// isTestFailure tells a test that ran and failed from an image that could not be
// built and a builder that was lost.
func isTestFailure(t *llb.Trial, err error) bool {
	var vertex *errdefs.VertexError
	if !errors.As(err, &vertex) {
		return false
	}
	return !t.OfImage(digest.Digest(vertex.Digest))
}

// exitCode is the exit code of the command that err tells of, -1 if it tells of
// none.
func exitCode(err error) int {
	var exit *gatewaypb.ExitError
	if errors.As(err, &exit) && exit.ExitCode != gatewaypb.UnknownExitStatus {
		return int(exit.ExitCode)
	}
	return -1
}

// reason is why a test failed, in a few words.
func reason(err error) string {
	switch code := exitCode(err); {
	case code > 128 && code < 128+65:
		return fmt.Sprintf("exit code %d (signal %d)", code, code-128)
	case code >= 0:
		return fmt.Sprintf("exit code %d", code)
	default:
		return strings.TrimPrefix(err.Error(), "failed to solve: ")
	}
}
