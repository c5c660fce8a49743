package main

import (
	"errors"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// A registry that asks for patience is named, once, while the push waits for it.
func TestWaitingIsShown(t *testing.T) {
	var first sync.Once
	var opens time.Time
	reg := faulty(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		first.Do(func() { opens = time.Now().Add(time.Second) })
		if !time.Now().Before(opens) {
			return false
		}
		w.Header().Set("Retry-After", "2")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	})
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
	reg := faulty(t, func(w http.ResponseWriter, r *http.Request) bool {
		if asked.Swap(true) {
			replying(403, `{"errors":[{"code":"DENIED","message":"nobody"}]}`)(w, r)
			return true
		}
		w.Header().Set("Retry-After", "2")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	})
	c := start(t, []string{"BUILDKIT_HOST=tcp://" + builder.Addr().String()}, "run", "-t", reg.Host+"/acme/app:1", "--test", "true", noise(t))
	c.exits(6)
	c.says("DENIED: nobody")
}

// Such a wait is shown as soon as there is something to show it on, unless it is over.
func TestWaitingThatBeganEarly(t *testing.T) {
	u := &uploads{}
	u.waiting(registry.Wait{Host: "short.example.com", For: time.Hour})()
	over := u.waiting(registry.Wait{Host: "long.example.com", For: time.Hour, Reason: "503 Service Unavailable"})
	var shown strings.Builder
	d, err := startDisplay(&shown, "plain")
	if err != nil {
		t.Fatal(err)
	}
	u.showOn(d)
	over()
	d.close()
	const want = `^#1 \[push\] trying long\.example\.com again in \d+s: 503 Service Unavailable\n#1 DONE .*\n$`
	if !regexp.MustCompile(want).MatchString(shown.String()) {
		t.Errorf("what is shown is %q, want %s", shown.String(), want)
	}
}

// A registry that fails is the only one whose step says so, and a test that fails is no
// error of any.
func TestFailureIsShownWhereItIs(t *testing.T) {
	good := testenv.StartRegistry(t, testenv.RegistryOptions{})
	bad := faulty(t, func(w http.ResponseWriter, r *http.Request) bool {
		return r.Method == http.MethodPut && r.ContentLength > 1<<19 && refuse(w, http.StatusForbidden, "DENIED")
	})
	w := newWorld(t, testenv.SharedDaemon(t, testenv.Root))
	c := start(t, w.env(), "run", "-t", good.Host+"/acme/app:1", "-t", bad.Host+"/acme/app:1", "--test", "true", noise(t))
	c.exits(6)
	c.saysOnce(" > [push] layers to ") // of a step with an error
	c.says(" > [push] layers to " + bad.Host)
	c.saysOnce(" ERROR: uploading layer ")
	c = start(t, w.env(), "run", "-t", good.Host+"/acme/app:1", "--test", "false", noise(t))
	c.exits(4)
	if strings.Contains(c.stderr(), "ERROR: test ") {
		t.Errorf("a step of the push fails for a test:\n%s", c.stderr())
	}
}

// A step that fails while blobs are on their way says why.
func TestFailureHalfWayIsShown(t *testing.T) {
	repo, err := name.NewRepository("registry.example.com/acme/app")
	if err != nil {
		t.Fatal(err)
	}
	var shown strings.Builder
	d, err := startDisplay(&shown, "plain")
	if err != nil {
		t.Fatal(err)
	}
	u := &uploads{display: d}
	for _, hex := range []string{"a", "b"} { // the second is not shown before the end: the display takes its time
		u.progress(registry.Progress{Repository: repo, Digest: v1.Hash{Algorithm: "sha256", Hex: hex}, Size: 9, State: registry.StateUploading})
	}
	u.end(&registry.Error{Op: "uploading layer", Repository: repo.Name(), Err: errors.New("no room")})
	d.close()
	if !strings.Contains(shown.String(), "\n#1 ERROR: uploading layer: no room\n") {
		t.Errorf("what is shown does not say why:\n%s", shown.String())
	}
}
