package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/seatrial/seatrial/hack/testenv"
)

// eachRegistry runs a test on the distribution project's registry of today, which asks
// for tokens, and on the old one of Debian's package. DOCKER_CONFIG is for both.
func eachRegistry(t *testing.T, wrap func(http.Handler) http.Handler, f func(t *testing.T, reg *testenv.Registry, dockerConfig string)) {
	t.Run("distribution, with tokens", func(t *testing.T) {
		reg := testenv.StartRegistry(t, testenv.RegistryOptions{Auth: testenv.AuthToken, User: "captain", Password: registryPassword, Wrap: wrap})
		f(t, reg, login(t, reg.Host, "captain", registryPassword))
	})
	t.Run("debian", func(t *testing.T) {
		reg := testenv.StartProxiedDebianRegistry(t, wrap)
		f(t, reg, login(t, reg.Host, "captain", registryPassword))
	})
}

// noise is a Dockerfile of an image that no other run makes, with a layer of 1 MB.
func noise(t *testing.T) string {
	t.Helper()
	return testenv.Dir(t, "Dockerfile", "FROM busybox\nRUN : "+t.TempDir()+" && dd if=/dev/urandom of=/made bs=1000 count=1000\n")
}

// TestInterruptDuringPush stops seatrial while a request of the push is under way,
// once or twice, at a time when its tests have passed.
func TestInterruptDuringPush(t *testing.T) {
	w := newWorld(t, testenv.SharedDaemon(t, testenv.Root))
	hold := func(r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	for _, at := range []struct {
		name  string
		fault pushFault // that holds the request up
		taken bool      // when the registry has done what it asks for
	}{
		{name: "a layer", fault: pushFault{method: "PUT", part: "/blobs/uploads/", large: true}},
		{name: "a manifest", fault: pushFault{method: "PUT", part: "/manifests/sha256:"}},
		{name: "a tag that does not move", fault: pushFault{method: "PUT", part: "/manifests/1"}},
		{name: "a tag that moves", fault: pushFault{method: "PUT", part: "/manifests/1"}, taken: true},
	} {
		t.Run(at.name, func(t *testing.T) {
			var armed atomic.Bool
			var reached chan struct{}
			wrap := func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if !at.fault.meets(r) || !armed.CompareAndSwap(true, false) {
						next.ServeHTTP(w, r)
						return
					}
					if at.taken {
						next.ServeHTTP(httptest.NewRecorder(), r)
					}
					close(reached)
					hold(r)
				})
			}
			eachRegistry(t, wrap, func(t *testing.T, reg *testenv.Registry, config string) {
				ref := reg.Host + "/acme/app:1"
				env := append(w.env(), config)
				start(t, env, "run", "-t", ref, "--test", "true", noise(t)).exits(0)
				before := digestOf(t, ref, reg)
				for _, signals := range [][]syscall.Signal{{syscall.SIGINT}, {syscall.SIGTERM}, {syscall.SIGINT, syscall.SIGINT}} {
					if at.taken && len(signals) > 1 {
						continue // it is over with the one or the other
					}
					reached = make(chan struct{})
					armed.Store(true)
					c := start(t, env, "run", "-t", ref, "--test", "true", noise(t))
					<-reached
					for _, sig := range signals {
						c.signal(sig)
					}
					code := 128 + int(signals[0])
					if at.taken {
						code = 0 // it looks, and all is done
					}
					c.exits(code)
					after := digestOf(t, ref, reg)
					name := fmt.Sprint(signals)
					if moved := after != before; moved != at.taken {
						t.Errorf("%s: that the tag moved is %v", name, moved)
					}
					printed := ""
					if at.taken {
						printed = ref + "@" + named(t, ref, reg) + "\n"
					}
					switch once := len(signals) == 1; {
					case once && c.out.String() != printed:
						t.Errorf("%s: standard output = %q, want %q; it said:\n%s", name, c.out.String(), printed, c.stderr())
					case once && !at.taken && at.fault.part == "/manifests/1":
						c.says("failed  "+ref+"  whether the tag moved is unknown", "whether "+ref+" moved is unknown")
					case once && !at.taken:
						c.says("no tag moved")
					}
					if strings.Contains(c.stderr(), "ERROR") {
						t.Errorf("%s: a step that was interrupted is shown as one that is in error:\n%s", name, c.stderr())
					}
					if all := c.out.String() + c.stderr(); strings.Contains(all, registryPassword) {
						t.Errorf("%s: the output tells a secret:\n%s", name, all)
					}
					before = after
				}
			})
		})
	}
}

// TestSeveralRunsToOneTag has six runs push images of their own to the same two tags
// at the same time: the last one wins, and the others have not failed.
func TestSeveralRunsToOneTag(t *testing.T) {
	w := newWorld(t, testenv.SharedDaemon(t, testenv.Root))
	eachRegistry(t, func(next http.Handler) http.Handler { return next }, func(t *testing.T, reg *testenv.Registry, config string) {
		repo := reg.Host + "/acme/app"
		var runs []*command
		for range 6 {
			runs = append(runs, start(t, append(w.env(), config), "run", "-t", repo+":1", "-t", repo+":2", "--test", "true", noise(t)))
		}
		pushed := map[string]bool{}
		for _, c := range runs {
			c.exits(0)
			lines := strings.Fields(c.out.String())
			if len(lines) != 2 {
				t.Fatalf("standard output = %q, want both references", c.out.String())
			}
			_, digest, _ := strings.Cut(lines[0], "@")
			pushed[digestOf(t, repo+"@"+digest, reg)] = true
		}
		if len(pushed) != len(runs) {
			t.Errorf("%d images were pushed, want %d", len(pushed), len(runs))
		}
		for _, tag := range []string{":1", ":2"} {
			if got := digestOf(t, repo+tag, reg); !pushed[got] {
				t.Errorf("%s names %s, which nobody pushed", tag, got)
			}
		}
	})
}
