package main

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seatrial/seatrial/hack/testenv"
)

// passes polls until seatrial has noted of so many images that they have passed, which
// it tells nobody before the end.
func passes(t *testing.T, cache string, images int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		found, err := filepath.Glob(filepath.Join(cache, "seatrial/passed/*"))
		if err != nil {
			t.Fatal(err)
		}
		if len(found) >= images {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after a minute %d images have passed, want %d", len(found), images)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// holding is a registry that holds all large layers that are sent before goOn, which has
// it refuse those tries: reached is closed at the first.
func holding(t *testing.T, kind testenv.Kind) (reg *testenv.Registry, reached <-chan struct{}, goOn func()) {
	begun, over := make(chan struct{}), make(chan struct{})
	goOn = sync.OnceFunc(func() { close(over) })
	reach := sync.OnceFunc(func() { close(begun) })
	wrap := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			upload := r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/blobs/uploads/")
			select {
			case <-over:
				upload = false
			default:
			}
			if !upload || r.ContentLength < 1<<20 {
				next.ServeHTTP(w, r)
				return
			}
			reach()
			<-over // with the layer unread
			refuse(w, http.StatusServiceUnavailable, "UNAVAILABLE")
		})
	}
	if kind == testenv.Rootless { // the old one with one kind of builder will do
		reg = testenv.StartProxiedDebianRegistry(t, wrap)
	} else {
		reg = testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: wrap})
	}
	t.Cleanup(goOn)
	return reg, begun, goOn
}

// noisy is a Dockerfile that gives other bytes each time that it runs: on an empty
// builder the image becomes another one.
const noisy = "FROM busybox\nRUN dd if=/dev/urandom of=/noise bs=1M count=16\n"

// TestBuilderRestartsDuringPush kills the builder while a layer of an image that has
// passed is on its way, and has it come back with its state, or with nothing.
func TestBuilderRestartsDuringPush(t *testing.T) {
	for _, kind := range kinds {
		for _, state := range []string{"as it was", "empty"} {
			t.Run(kind.String()+" "+state, func(t *testing.T) {
				w := newWorld(t, testenv.StartDaemon(t, testenv.DaemonOptions{Kind: kind}))
				slow, reached, goOn := holding(t, kind)
				ref, cache := slow.Host+"/acme/again:1", t.TempDir()
				c := start(t, append(w.env(), "XDG_CACHE_HOME="+cache), "run", "-t", ref, "--test", "test -s /noise", testenv.Dir(t, "Dockerfile", noisy))
				<-reached
				passes(t, cache, 1)
				w.daemon.Kill()
				if state == "empty" {
					w.daemon.Forget(t)
				}
				w.daemon.Restart(t)
				goOn()
				c.pushed(ref, slow, 1)
				if state == "empty" {
					c.says("building again")
				}
			})
		}
	}
}

// TestBuilderIsPrunedDuringPush has somebody clear the builder of all that is not in use
// while a layer of an image that has passed is on its way.
func TestBuilderIsPrunedDuringPush(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) {
			w := newWorld(t, testenv.StartDaemon(t, testenv.DaemonOptions{Kind: kind}))
			slow, reached, goOn := holding(t, kind)
			ref, cache := slow.Host+"/acme/again:1", t.TempDir()
			c := start(t, append(w.env(), "XDG_CACHE_HOME="+cache), "run", "-t", ref, "--test", "test -s /noise", testenv.Dir(t, "Dockerfile", noisy))
			<-reached
			passes(t, cache, 1)
			if out, err := exec.Command(testenv.Binary(t, "buildctl"), "--addr", w.daemon.Addr, "prune", "--all").CombinedOutput(); err != nil {
				t.Fatalf("pruning: %v: %s", err, out)
			}
			goOn()
			c.pushed(ref, slow, 1)
		})
	}
}

// TestOneOfSeveralBuildersRestartsDuringPush has two builders make one image, and kills
// one of them when both their parts have passed.
func TestOneOfSeveralBuildersRestartsDuringPush(t *testing.T) {
	for _, state := range []string{"as it was", "empty"} {
		t.Run(state, func(t *testing.T) {
			w := newWorld(t, testenv.StartDaemon(t, testenv.DaemonOptions{Flags: []string{"--oci-worker-platform=linux/amd64"}}))
			other := testenv.StartDaemon(t, testenv.DaemonOptions{Flags: []string{"--oci-worker-platform=linux/386"}})
			slow, reached, goOn := holding(t, testenv.Root)
			ref, cache := slow.Host+"/acme/again:1", t.TempDir()
			c := start(t, append(w.env(), "XDG_CACHE_HOME="+cache), "run", "-t", ref, "--test", "test -s /noise",
				"--addr", w.daemon.Addr, "--addr", other.Addr, testenv.Dir(t, "Dockerfile", noisy))
			<-reached
			passes(t, cache, 2)
			other.Kill()
			if state == "empty" {
				other.Forget(t)
			}
			other.Restart(t)
			goOn()
			c.pushed(ref, slow, 2)
			if state == "empty" { // files that are there are read, with or without a builder
				c.says("building again")
			}
			if got, want := platformsOf(t, ref), "linux/amd64 linux/386 unknown/unknown unknown/unknown"; got != want {
				t.Errorf("the index has %s, want %s", got, want)
			}
		})
	}
}

// TestPrivateBuilderDiesDuringPush kills a builder that seatrial has started itself, and
// that nobody else starts again. As long as its files are there, they will do.
func TestPrivateBuilderDiesDuringPush(t *testing.T) {
	w := newWorld(t, testenv.SharedDaemon(t, testenv.Root))
	for _, state := range []string{"as it was", "empty"} {
		t.Run(state, func(t *testing.T) {
			slow, reached, goOn := holding(t, testenv.Root)
			ref, cache := slow.Host+"/acme/again:1", testenv.StateDir(t)
			path := "PATH=" + filepath.Dir(testenv.Binary(t, "buildkitd")) + ":" + os.Getenv("PATH")
			c := start(t, append(w.env(), "XDG_CACHE_HOME="+cache, path), "run", "-t", ref, "--test", "test -s /noise",
				"--addr", "private", testenv.Dir(t, "Dockerfile", noisy))
			<-reached
			passes(t, cache, 1)
			dir := filepath.Join(cache, "seatrial/buildkit")
			pid := privatePID(t, dir)
			signal := func(sig syscall.Signal) {
				if err := syscall.Kill(pid, sig); err != nil {
					t.Fatal(err)
				}
			}
			signal(syscall.SIGSTOP) // as soon as it is gone, there may be another one
			if state == "empty" {
				forget(t, dir)
			}
			signal(syscall.SIGKILL)
			goOn()
			c.pushed(ref, slow, 1)
			if state == "empty" {
				c.says("building again")
			}
			if _, err := os.Stat(filepath.Join(dir, "seatrial.json")); !os.IsNotExist(err) {
				t.Errorf("the record of a builder is left behind: %v", err)
			}
		})
	}
}

// forget removes what is the private builder's own.
func forget(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if name := filepath.Base(f); name == "tmp" || strings.HasPrefix(name, "seatrial") {
			continue // locks and the record
		}
		if err := os.RemoveAll(f); err != nil {
			t.Fatal(err)
		}
	}
}

// privatePID is the process of the private builder.
func privatePID(t *testing.T, dir string) int {
	t.Helper()
	dt, err := os.ReadFile(filepath.Join(dir, "seatrial.json"))
	if err != nil {
		t.Fatal(err)
	}
	var record struct {
		PID int `json:"pid"`
	}
	if err := json.Unmarshal(dt, &record); err != nil || record.PID == 0 {
		t.Fatalf("reading the private builder's record %s: %v", dt, err)
	}
	return record.PID
}

// pushed checks that a run has moved the tag to an image that is all there, and has told
// of so many tests.
func (c *command) pushed(ref string, reg *testenv.Registry, tests int) {
	c.t.Helper()
	c.exits(0)
	c.says("tag moved")
	if n := strings.Count(c.stderr(), "  passed "); n != tests {
		c.t.Errorf("the summary has %d tests, want %d:\n%s", n, tests, c.stderr())
	}
	if want := ref + "@" + named(c.t, ref, reg) + "\n"; c.out.String() != want {
		c.t.Errorf("standard output = %q, want %q", c.out.String(), want)
	}
	digestOf(c.t, ref, reg)
}
