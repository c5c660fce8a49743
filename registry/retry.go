package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

const (
	// defaultAttempts wait for half a minute on average and a minute at most,
	// which is longer than a registry takes to restart.
	defaultAttempts = 8

	// contactAttempts is for the first request to a registry, when nothing is
	// lost yet and a name may just be mistyped.
	contactAttempts = 5

	// slowAttempts is for failures that have cost a minute or two each.
	slowAttempts = 5

	// settleAttempts is for a registry that says of a blob that it took just now
	// that it does not know it.
	settleAttempts = 4

	firstBackoff = 500 * time.Millisecond
	maxBackoff   = 30 * time.Second
)

// retrier repeats what failed for a reason that may pass, after a random part of
// a wait that doubles ("full jitter"): workers that failed together do not come
// back together. go-containerregistry's own repetition is switched off: it sleeps
// on when the context has ended, and gives up on errors that do pass.
type retrier struct {
	attempts int
	first    time.Duration // the longest first wait; it doubles from there

	waiting func(d time.Duration, err error) (over func()) // is told of every wait
}

// atMost is the same with fewer attempts.
func (r retrier) atMost(attempts int) retrier {
	r.attempts = min(r.attempts, attempts)
	return r
}

func (r retrier) do(ctx context.Context, f func(ctx context.Context) error) error {
	wait := r.first
	for attempt := 1; ; attempt++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err := f(ctx)
		if err == nil {
			return nil
		}
		if !passing(err) || ctx.Err() == nil && attempt >= r.attempts {
			return err
		}
		if attempt >= slowAttempts && timeout(err) || attempt >= settleAttempts && unsettled(err) {
			return err
		}
		pause := rand.N(wait + 1)
		over := r.waiting(pause, err)
		cause := sleep(ctx, pause)
		over()
		if cause != nil {
			return fmt.Errorf("%w: %w", cause, err)
		}
		wait = min(2*wait, maxBackoff)
	}
}

// passing tells whether the same request may succeed later.
func passing(err error) bool {
	if errors.Is(err, ErrBlobMissing) || errors.Is(err, context.Canceled) || refusedByProxy(err) {
		return false
	}
	var answer *transport.Error
	if errors.As(err, &answer) {
		return passingAnswer(answer)
	}
	if errors.Is(err, errTagElsewhere) {
		return true // until the registry's caches have heard of it
	}
	return broken(err)
}

// broken tells whether a connection could not be made, broke or stalled, for a reason that
// may pass.
func broken(err error) bool {
	for _, target := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.EPIPE, syscall.ECONNRESET} {
		if errors.Is(err, target) {
			return true
		}
	}
	return passingNetwork(err) || timeout(err) || hungUp(err)
}

// hungUp tells whether the registry closed a connection of which we had just begun to make
// use: one that was idle, or made ahead. net/http tries again by itself only where it is
// sure that nothing was done, and has no value for this error.
func hungUp(err error) bool {
	return strings.Contains(err.Error(), "http: server closed idle connection")
}

// passingNetwork tells whether a connection could not be made, or broke, for a
// reason that may pass. A name that nobody knows is one: resolvers say so, too,
// while they restart.
func passingNetwork(err error) bool {
	var address *net.AddrError
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &address):
		return false
	case errors.As(err, &dns):
		return true
	case errors.As(err, &op):
		// The others are TLS alerts: the two sides do not agree on something.
		return op.Op == "dial" || op.Op == "proxyconnect" || op.Op == "read" || op.Op == "write"
	}
	return false
}

func passingAnswer(answer *transport.Error) bool {
	for _, d := range answer.Errors {
		switch d.Code {
		case transport.BlobUploadUnknownErrorCode, transport.BlobUploadInvalidErrorCode, transport.TooManyRequestsErrorCode:
			return true // the upload begins anew
		}
	}
	if unsettled(answer) {
		return true
	}
	switch answer.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, 499: // 499: nginx, the client closed the request
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	return answer.StatusCode >= 500 && !full(answer)
}

// unsettled tells whether a registry misses a blob that a manifest refers to. All were
// there when the manifest was sent, but the docker-registry of old reads what another
// push of the same blob is just writing, and others take a moment to know of a blob
// everywhere.
func unsettled(err error) bool {
	var answer *transport.Error
	return errors.As(err, &answer) && slices.ContainsFunc(answer.Errors, func(d transport.Diagnostic) bool {
		return d.Code == transport.ManifestBlobUnknownErrorCode
	})
}

func timeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}
