package main

import (
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seatrial/seatrial/hack/testenv"
)

// A registry that asks for patience is named, once, while the push waits for it.
func TestWaitingIsShown(t *testing.T) {
	var first sync.Once
	var opens time.Time
	wrap := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost {
				next.ServeHTTP(w, r)
				return
			}
			first.Do(func() { opens = time.Now().Add(time.Second) })
			if time.Now().Before(opens) {
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
	shown := regexp.MustCompile(`(?m)^#\d+ \[push\] `+regexp.QuoteMeta(reg.Host)+` asks to come back in `).FindAllString(c.stderr(), -1)
	if steps := slices.Compact(slices.Sorted(slices.Values(shown))); len(steps) != 1 { // the display comes back to one
		t.Errorf("%d steps wait for the registry, want 1:\n%s", len(steps), c.stderr())
	}
}

// A registry may have to be waited for before there is a builder, and anything to show it on.
func TestWaitingBeforeThereIsABuilder(t *testing.T) {
	builder, err := net.Listen("tcp", "127.0.0.1:0") // and never answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { builder.Close() })
	var asked atomic.Bool
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if asked.Swap(true) {
				replying(403, `{"errors":[{"code":"DENIED","message":"nobody"}]}`)(w, r)
				return
			}
			w.Header().Set("Retry-After", "2")
			w.WriteHeader(http.StatusTooManyRequests)
		})
	}})
	c := start(t, []string{"BUILDKIT_HOST=tcp://" + builder.Addr().String()}, "run", "-t", reg.Host+"/acme/app:1", "--test", "true", noise(t))
	c.exits(6)
	c.says("DENIED: nobody")
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
	c.saysOnce(" > [push] layers to ") // of a step with an error
	c.says(" > [push] layers to " + bad.Host)
	c = start(t, w.env(), "run", "-t", good.Host+"/acme/app:1", "--test", "false", noise(t))
	c.exits(4)
	if strings.Contains(c.stderr(), "ERROR: test ") {
		t.Errorf("a step of the push fails for a test:\n%s", c.stderr())
	}
}
