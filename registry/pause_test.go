package registry_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// Pushes beside one another, as those of several builders, to a registry that asks for
// patience.
func TestRetryAfterHoldsBackAnotherPush(t *testing.T) {
	a, b := loaded(t), loaded(t)
	digest := must(b.Digest())(t).String()
	var until atomic.Int64
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method == http.MethodPost && until.CompareAndSwap(0, time.Now().Add(time.Second).UnixNano()) {
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			if left := time.Until(time.Unix(0, until.Load())); strings.Contains(req.URL.Path, digest) && left > 0 {
				t.Errorf("%s %s came %s too early", req.Method, req.URL.Path, left)
			}
			next.ServeHTTP(w, req)
		})
	}})
	asked := make(chan struct{})
	one := newPush(t, registry.Options{Transport: &patience{registry.Transport(), sync.OnceFunc(func() { close(asked) })}}, reg.Host+"/app:1").WithBackoff(time.Millisecond)
	done := make(chan error, 1)
	go func() { done <- one.Upload(t.Context(), a) }()
	<-asked
	upload(t, one.Another(), b)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// patience tells when the registry has asked for it, and the push has had the time to hear:
// it waits before its next request.
type patience struct {
	http.RoundTripper
	asked func()
}

func (p *patience) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := p.RoundTripper.RoundTrip(req)
	if err == nil && resp.StatusCode == http.StatusTooManyRequests {
		resp.Body = closing{resp.Body, p.asked}
	}
	return resp, err
}

// closing tells that a body was closed.
type closing struct {
	io.ReadCloser
	closed func()
}

func (c closing) Close() error {
	c.closed()
	return c.ReadCloser.Close()
}
