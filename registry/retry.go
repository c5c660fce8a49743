package registry

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

const (
	defaultAttempts = 5
	maxBackoff      = 30 * time.Second
)

// retrier repeats what failed for a reason that may pass.
// go-containerregistry's own repetition is switched off: it sleeps on when the
// context has ended, and gives up on errors that do pass.
type retrier struct {
	attempts int
	first    time.Duration // the longest first wait; it doubles from there
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
		if ctx.Err() != nil || attempt >= r.attempts || !passing(err) {
			return err
		}
		// A timeout has already cost minutes; a second one will not be the last.
		if timeout(err) && attempt >= 2 {
			return err
		}
		if sleep(ctx, wait/2+rand.N(wait/2+1)) != nil {
			return err
		}
		wait = min(2*wait, maxBackoff)
	}
}

// passing tells whether the same request may succeed later.
func passing(err error) bool {
	if errors.Is(err, ErrBlobMissing) || errors.Is(err, context.Canceled) {
		return false
	}
	var answer *transport.Error
	if errors.As(err, &answer) {
		return passingAnswer(answer)
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return dns.IsTemporary || dns.IsTimeout
	}
	for _, target := range []error{
		io.EOF, io.ErrUnexpectedEOF, net.ErrClosed,
		syscall.EPIPE, syscall.ECONNRESET, syscall.ECONNREFUSED,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	return timeout(err)
}

func passingAnswer(answer *transport.Error) bool {
	for _, d := range answer.Errors {
		switch d.Code {
		case transport.BlobUploadUnknownErrorCode, transport.BlobUploadInvalidErrorCode, transport.TooManyRequestsErrorCode:
			return true // the upload begins anew
		}
	}
	switch answer.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, 499: // 499: nginx, the client closed the request
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported, http.StatusInsufficientStorage:
		return false
	}
	// A full disk is a 500 of the usual registry. Sending the layer again and
	// again does not empty it.
	return answer.StatusCode >= 500 && !strings.Contains(answer.Error(), "no space left")
}

func timeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}
