//go:build !linux

package buildkitd

import (
	"context"
	"errors"
)

func executableDir() string { return "" }

// connectPrivate has nothing to start: buildkitd builds for Linux on Linux.
func connectPrivate(context.Context, Options) (*Builder, error) {
	return nil, &Error{
		Addr: Private,
		Err:  errors.New("a private buildkitd can be started on Linux only"),
		Hint: "name a running buildkitd with --addr or BUILDKIT_HOST",
	}
}
