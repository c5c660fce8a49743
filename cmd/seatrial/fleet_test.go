package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/seatrial/seatrial/hack/testenv"
)

// fleetDockerfile tells in which daemon a step ran: each has a network of its own
// to say so by. The image has the architecture that it was built for.
const fleetDockerfile = `FROM busybox AS base
ARG TARGETARCH
RUN echo $TARGETARCH >/arch
`

// newFleetWorld is a builder of the machine's own kind and one that is told it is for
// 386, which an amd64 kernel runs too. What it runs is the same busybox, which is enough to
// see who does what.
func newFleetWorld(t *testing.T, kind testenv.Kind) (*world, []string) {
	t.Helper()
	w := newWorld(t, testenv.StartDaemon(t, testenv.DaemonOptions{Kind: kind, Flags: []string{"--oci-worker-platform=linux/amd64"}}))
	other := testenv.StartDaemon(t, testenv.DaemonOptions{Kind: kind, Flags: []string{"--oci-worker-platform=linux/386"}})
	return w, []string{"--addr", w.daemon.Addr, "--addr", other.Addr}
}

func TestSeveralBuilders(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) {
			w, addrs := newFleetWorld(t, kind)
			project := testenv.Dir(t, "Dockerfile", fleetDockerfile)
			ref := w.registry.Host + "/acme/fleet:1"
			run := func(args ...string) *command {
				return start(t, w.env(), append(append([]string{"run", project, "-t", ref}, addrs...), args...)...)
			}

			// Without --platform, each builder makes its own.
			c := run("--test", "echo this is $(cat /arch) && grep -x -e amd64 -e 386 /arch", "--annotation", "index:org.example=both")
			c.exits(0)
			c.says("this is amd64", "this is 386", "(linux/amd64)  passed", "(linux/386)  passed", "tag moved")
			first := strings.TrimSpace(c.out.String())
			if got := resolve(t.Fatalf, ref); !strings.HasSuffix(first, ref+"@"+got) {
				t.Errorf("printed %s, and the tag names %s", first, got)
			}
			if got, want := platformsOf(t, ref), "linux/amd64 linux/386 unknown/unknown unknown/unknown"; got != want {
				t.Errorf("the index has %s, want %s", got, want)
			}

			// Nothing changed: nothing runs, nothing moves.
			c = run("--test", "echo this is $(cat /arch) && grep -x -e amd64 -e 386 /arch", "--annotation", "index:org.example=both")
			c.exits(0)
			c.says("already there", "(linux/386)  passed (cached")

			// One platform fails: the tests of the other are seen to their end, and
			// no tag moves.
			c = run("--test", "grep amd64 /arch && sleep 1 && echo reached the end", "--no-cache")
			c.exits(4)
			c.says("(linux/amd64)  passed", "(linux/386)  failed: exit code 1", "reached the end", "1 of 2 tests failed", "no tag moved")
			if got := resolve(t.Fatalf, ref); !strings.HasSuffix(first, got) {
				t.Errorf("the tag names %s after a failed test", got)
			}

			// A platform that nobody has; one builder can do all that is asked.
			c = run("--untested", "--platform", "linux/amd64,linux/s390x")
			c.exits(2)
			c.says("no builder can run linux/s390x", "linux/386", "--addr")
			run("--untested", "--platform", "linux/amd64").exits(0)

			// What each builder finds wrong in the Dockerfile that it fetches is said once.
			remote := testenv.ServeFiles(t, project) + "/Dockerfile"
			c = start(t, w.env(), append([]string{"run", remote, "-t", ref, "--untested", "--no-cache-filter", "nope"}, addrs...)...)
			c.exits(2)
			c.saysOnce(`--no-cache-filter: no stage "nope": the Dockerfile has base`)
		})
	}
}

// TestSeveralBuildersAndOneIsLost loses a builder while the other one waits for it.
func TestSeveralBuildersAndOneIsLost(t *testing.T) {
	w, addrs := newFleetWorld(t, testenv.Root)
	other := testenv.StartDaemon(t, testenv.DaemonOptions{Flags: []string{"--oci-worker-platform=linux/386"}})
	project := testenv.Dir(t, "Dockerfile", fleetDockerfile+"RUN if grep 386 /arch; then echo and now; sleep 600; fi\n")
	ref := w.registry.Host + "/acme/fleet:lost"
	c := start(t, w.env(), append([]string{"run", project, "-t", ref, "--test", "true", "--addr", other.Addr}, addrs[:2]...)...)
	c.until(" and now\n")
	other.Kill()
	c.exits(5)
	c.says("the builder at "+other.Addr+" was lost", "no tag moved")
	if got := resolve(t.Fatalf, ref); got != "none" {
		t.Errorf("the tag names %s", got)
	}
}

// TestSeveralBuildersAndOneIsLostWhileTagging loses a builder when all that it made is in the
// registry, and the file is written: nothing more is needed of it.
func TestSeveralBuildersAndOneIsLostWhileTagging(t *testing.T) {
	w, addrs := newFleetWorld(t, testenv.Root)
	project := testenv.Dir(t, "Dockerfile", fleetDockerfile)
	for name, output := range map[string][]string{"alone": nil, "with a file": {"-o", "type=oci,dest=" + filepath.Join(t.TempDir(), "image.tar")}} {
		t.Run(name, func(t *testing.T) {
			other := testenv.StartDaemon(t, testenv.DaemonOptions{Flags: []string{"--oci-worker-platform=linux/386"}})
			var once sync.Once
			reg := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
						once.Do(func() {
							other.Kill()
							select {
							case <-r.Context().Done(): // the push is broken off
							case <-time.After(500 * time.Millisecond): // to be seen to go on needs no event
							}
						})
					}
					next.ServeHTTP(rw, r)
				})
			}})
			ref := reg.Host + "/acme/fleet:"
			args := append([]string{"run", project, "-t", ref + "1", "-t", ref + "2", "--test", "true", "--addr", other.Addr}, addrs[:2]...)
			c := start(t, w.env(), append(args, output...)...)
			c.exits(0)
			for _, tag := range []string{"1", "2"} {
				if got, want := platformsOf(t, ref+tag), "linux/386 linux/amd64 unknown/unknown unknown/unknown"; got != want {
					t.Errorf("the index of tag %s has %s, want %s", tag, got, want)
				}
			}
			if strings.Contains(c.stderr(), "building again") {
				t.Errorf("it was built again:\n%s", c.stderr())
			}
		})
	}
}

func platformsOf(t *testing.T, reference string) string {
	t.Helper()
	ref, err := name.ParseReference(reference)
	if err != nil {
		t.Fatal(err)
	}
	idx, err := remote.Index(ref)
	if err != nil {
		t.Fatal(err)
	}
	m, err := idx.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, d := range m.Manifests {
		out = append(out, d.Platform.String())
	}
	return strings.Join(out, " ")
}
