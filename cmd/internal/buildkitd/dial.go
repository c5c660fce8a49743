package buildkitd

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/moby/buildkit/client"
	// The schemes that buildctl knows, so that an address that works there works here.
	_ "github.com/moby/buildkit/client/connhelper/dockercontainer"
	_ "github.com/moby/buildkit/client/connhelper/kubepod"
	_ "github.com/moby/buildkit/client/connhelper/nerdctlcontainer"
	_ "github.com/moby/buildkit/client/connhelper/npipe"
	_ "github.com/moby/buildkit/client/connhelper/podmancontainer"
	_ "github.com/moby/buildkit/client/connhelper/ssh"
	"github.com/moby/buildkit/util/grpcerrors"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

var errNoWorkers = errors.New("it has no workers")

// dialOnce connects and asks: a connection is not yet a daemon.
func dialOnce(ctx context.Context, addr string, opts []client.ClientOpt) (*client.Client, string, error) {
	c, err := client.New(ctx, addr, append(bulk(), opts...)...)
	if err != nil {
		return nil, "", err
	}
	version, err := ask(ctx, c)
	if err != nil {
		c.Close()
		return nil, "", err
	}
	return c, version, nil
}

// bulk is for layers coming out of the daemon: windows that keep a connection with
// a round-trip time of some 20 ms busy, and fewer reads. The connection's window
// is also the most that can pile up here while a registry is slow.
func bulk() []client.ClientOpt {
	const stream, conn, read = 8 << 20, 16 << 20, 256 << 10
	return []client.ClientOpt{
		client.WithGRPCDialOption(grpc.WithInitialWindowSize(stream)),
		client.WithGRPCDialOption(grpc.WithInitialConnWindowSize(conn)),
		client.WithGRPCDialOption(grpc.WithReadBufferSize(read)),
	}
}

// ask returns the daemon's version once it can build.
func ask(ctx context.Context, c *client.Client) (string, error) {
	version := ""
	var workers []*client.WorkerInfo
	var workersErr error
	var asking sync.WaitGroup
	asking.Go(func() { workers, workersErr = c.ListWorkers(ctx) }) // at the same time: it may be far
	info, err := c.Info(ctx)
	asking.Wait()
	switch {
	case err == nil:
		version = info.BuildkitVersion.Version
	case grpcerrors.Code(err) == codes.Unimplemented: // before v0.11; still an answer
	default:
		return "", err
	}
	if workersErr != nil {
		return "", workersErr
	}
	if len(workers) == 0 {
		return "", errNoWorkers
	}
	return version, nil
}

// dialPatiently tries until the daemon answers, the time is up, or an error
// shows that waiting is useless.
func (t target) dialPatiently(parent context.Context, limit time.Duration) (*client.Client, string, error) {
	ctx, cancel := context.WithTimeout(parent, limit)
	defer cancel()
	delay := 50 * time.Millisecond
	if t.url.Scheme != "unix" && t.url.Scheme != "tcp" {
		delay = time.Second // every attempt runs a program
	}
	var last error
	for {
		c, version, err := t.dial(ctx)
		if err == nil {
			return c, version, nil
		}
		if last == nil || ctx.Err() == nil {
			last = err // the error of an attempt cut short says less than the one before
		}
		if ctx.Err() == nil && isFinal(err) {
			return nil, "", err
		}
		select {
		case <-ctx.Done():
			return nil, "", gaveUp(limit, last)
		case <-time.After(delay):
			delay = min(2*delay, time.Second)
		}
	}
}

func gaveUp(limit time.Duration, last error) error {
	if grpcerrors.Code(last) == codes.DeadlineExceeded || errors.Is(last, context.DeadlineExceeded) {
		last = errors.New("no answer")
	}
	return fmt.Errorf("gave up after %s: %w", limit, last)
}

func (t target) dial(ctx context.Context) (*client.Client, string, error) {
	c, version, err := dialOnce(ctx, t.url.String(), t.opts)
	if err == nil || t.tls == nil || ctx.Err() != nil || isFinal(err) {
		return c, version, err
	}
	if why := verdict(ctx, t.url.Host, t.tls); why != nil && isFinal(why) {
		err = why
	}
	return nil, "", err
}

// isFinal reports whether another attempt would end in the same way. The text
// is all there is to go by: gRPC turns every dial error into Unavailable.
func isFinal(err error) bool {
	if errors.Is(err, errNoWorkers) || errors.Is(err, exec.ErrNotFound) {
		return true
	}
	if code := grpcerrors.Code(err); code != codes.Unavailable && code != codes.Unknown && code != codes.DeadlineExceeded {
		return true
	}
	text := err.Error()
	for _, s := range []string{
		"x509:", "tls:", syscall.EACCES.Error(), exec.ErrNotFound.Error(),
	} {
		if strings.Contains(text, s) {
			return true
		}
	}
	return false
}
