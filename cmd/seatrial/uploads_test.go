package main

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seatrial/seatrial/hack/testenv"
)

// A registry that asks for patience is named, once, while the push waits for it.
func TestWaitingIsShown(t *testing.T) {
	var left atomic.Int64
	left.Store(3)
	wrap := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost && left.Add(-1) >= 0 {
				w.Header().Set("Retry-After", "2")
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: wrap})
	w := newWorld(t, testenv.SharedDaemon(t, testenv.Root))
	c := start(t, w.env(), "run", "-t", reg.Host+"/acme/app:1", "--test", "true", noise(t))
	c.exits(0)
	c.saysOnce("[push] " + reg.Host + " asks to come back in ")
}

// A registry that fails is the only one whose step says so, and a test that fails is no
// error of any.
func TestFailureIsShownWhereItIs(t *testing.T) {
	refuse := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && r.ContentLength > 1<<19 {
				replying(403, `{"errors":[{"code":"DENIED","message":"not this layer"}]}`)(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	good, bad := testenv.StartRegistry(t, testenv.RegistryOptions{}), testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: refuse})
	w := newWorld(t, testenv.SharedDaemon(t, testenv.Root))
	c := start(t, w.env(), "run", "-t", good.Host+"/acme/app:1", "-t", bad.Host+"/acme/app:1", "--test", "true", noise(t))
	c.exits(6)
	c.saysOnce("ERROR: uploading layer sha256:") // at the bad one's step
	c = start(t, w.env(), "run", "-t", good.Host+"/acme/app:1", "--test", "false", noise(t))
	c.exits(4)
	if strings.Contains(c.stderr(), "ERROR: test ") {
		t.Errorf("a step of the push fails for a test:\n%s", c.stderr())
	}
}
