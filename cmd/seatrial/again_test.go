package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/seatrial/seatrial/hack/testenv"
)

// passes polls until seatrial has noted that an image has passed, which it tells
// nobody before the end.
func passes(t *testing.T, cache string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		found, err := filepath.Glob(filepath.Join(cache, "seatrial/passed/*"))
		if err != nil {
			t.Fatal(err)
		}
		if len(found) > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("after a minute the image has not passed")
		}
		<-time.After(10 * time.Millisecond)
	}
}

// TestBuilderRestartsDuringPush kills the builder while a layer of an image that has
// passed is on its way, and has it come back with its state, or with nothing.
func TestBuilderRestartsDuringPush(t *testing.T) {
	for _, kind := range kinds {
		for _, state := range []string{"as it was", "empty"} {
			t.Run(kind.String()+" "+state, func(t *testing.T) {
				w := newWorld(t, testenv.StartDaemon(t, testenv.DaemonOptions{Kind: kind}))
				reached, over := make(chan struct{}), make(chan struct{})
				var held atomic.Bool
				slow := faulty(t, func(rw http.ResponseWriter, r *http.Request) bool {
					upload := r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/blobs/uploads/")
					if !upload || r.ContentLength < 1<<20 || !held.CompareAndSwap(false, true) {
						return false
					}
					close(reached)
					<-over // with the layer unread
					return refuse(rw, http.StatusServiceUnavailable, "UNAVAILABLE")
				})
				end := sync.OnceFunc(func() { close(over) })
				t.Cleanup(end)
				ref := slow.Host + "/acme/again:1"
				// Other bytes each time that it runs: on an empty builder the image
				// becomes another one.
				cache := t.TempDir()
				c := start(t, append(w.env(), "XDG_CACHE_HOME="+cache), "run", "-t", ref, "--test", "test -s /noise", testenv.Dir(t, "Dockerfile",
					"FROM busybox\nRUN dd if=/dev/urandom of=/noise bs=1M count=16\n"))
				<-reached
				passes(t, cache)
				w.daemon.Kill()
				if state == "empty" {
					w.daemon.Forget(t)
				}
				w.daemon.Restart(t)
				end()
				c.exits(0)
				c.says("tag moved")
				if state == "empty" {
					c.says("building again")
				}
				if n := strings.Count(c.stderr(), "\ntested "); n != 1 {
					t.Errorf("the summary has %d tests, want 1:\n%s", n, c.stderr())
				}
				digest := resolve(t.Fatalf, ref)
				if want := ref + "@" + digest + "\n"; c.out.String() != want {
					t.Errorf("standard output = %q, want %q", c.out.String(), want)
				}
				parsed, err := name.ParseReference(ref)
				if err != nil {
					t.Fatal(err)
				}
				img, err := remote.Image(parsed)
				if err == nil {
					err = validate.Image(img)
				}
				if err != nil {
					t.Errorf("validating %s: %v", ref, err)
				}
			})
		}
	}
}
