package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seatrial/seatrial/hack/testenv"
)

const plainDockerfile = "FROM busybox\nRUN true\n"

// marker is a command line that no other process has.
func marker() string { return fmt.Sprintf("sleep %d.5", 100000+time.Now().UnixNano()%100000000) }

// running tells whether a process with this command line is there.
func running(t *testing.T, line string) bool {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		dt, _ := os.ReadFile(f) // it may have ended meanwhile
		if strings.TrimRight(strings.ReplaceAll(string(dt), "\x00", " "), " ") == line {
			return true
		}
	}
	return false
}

// become polls until a process is there, or gone: a process that is not ours
// gives no event to wait for.
func become(t *testing.T, line string, there bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for running(t, line) != there {
		if time.Now().After(deadline) {
			t.Fatalf("after a minute it is %v that %q runs", !there, line)
		}
		<-time.After(10 * time.Millisecond)
	}
}

func TestInterrupt(t *testing.T) {
	signals := map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143}
	onEach(t, func(t *testing.T, w *world) {
		for sig, code := range signals {
			t.Run(sig.String(), func(t *testing.T) {
				ref, step := w.registry.Host+"/acme/interrupted", marker()
				c := start(t, w.env(), "run", "-t", ref, "--test", "echo under way; exec "+step, testenv.Dir(t, "Dockerfile", plainDockerfile))
				c.until("under way\n")
				become(t, step, true) // else the test would see nothing end
				c.signal(sig)
				become(t, step, false)
				c.exits(code)
				c.says("no tag moved", step+"  interrupted")
				if got := resolve(t.Fatalf, ref); got != "none" {
					t.Errorf("after %s the tag is %s, want none", sig, got)
				}
			})
		}
	})
}

func TestInterruptTwiceDoesNotWait(t *testing.T) {
	w := newWorld(t, testenv.SharedDaemon(t, testenv.Root))
	// A registry that never answers: after the first signal there may be
	// something left to wait for, after the second there is not.
	hang := make(chan struct{})
	stuck := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: func(http.Handler) http.Handler {
		return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang })
	}})
	t.Cleanup(func() { close(hang) })
	step := marker()
	c := start(t, w.env(), "run", "-t", stuck.Host+"/acme/x", "--test", "echo under way; exec "+step, testenv.Dir(t, "Dockerfile", plainDockerfile))
	c.until("under way\n")
	c.signal(syscall.SIGINT)
	c.signal(syscall.SIGINT)
	c.exits(130)
	become(t, step, false)
}

func TestBuilderDiesHalfWay(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) {
			w := newWorld(t, testenv.StartDaemon(t, testenv.DaemonOptions{Kind: kind}))
			ref := w.registry.Host + "/acme/lost"
			c := start(t, w.env(), "run", "-t", ref, "--test", "echo under way; sleep 1000", testenv.Dir(t, "Dockerfile", plainDockerfile))
			c.until("under way\n")
			w.daemon.Kill()
			c.exits(5)
			c.says("was lost", w.daemon.Addr, "no tag moved")
			if got := resolve(t.Fatalf, ref); got != "none" {
				t.Errorf("after the builder was lost the tag is %s, want none", got)
			}
		})
	}
}

// TestBuilderDiskFull gives the builder a disk of its own that is too small.
func TestBuilderDiskFull(t *testing.T) {
	dir := testenv.StateDir(t)
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=48m"); err != nil {
		t.Fatalf("mounting a small disk: %v (the test needs root)", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	w := newWorld(t, testenv.StartDaemon(t, testenv.DaemonOptions{Kind: testenv.Root, Dir: dir}))
	ref := w.registry.Host + "/acme/full"
	c := start(t, w.env(), "run", "-t", ref, "--untested", // a test's helper might be what finds no room first
		testenv.Dir(t, "Dockerfile", "FROM busybox\nRUN dd if=/dev/zero of=/big bs=1M count=500\n"))
	c.exits(3)
	c.says("No space left on device", "the builder's disk is full", ">>> RUN dd", "no tag moved")
	if got := resolve(t.Fatalf, ref); got != "none" {
		t.Errorf("the tag is %s, want none", got)
	}
}

// faulty is a registry where f may answer a request itself.
func faulty(t *testing.T, f func(w http.ResponseWriter, r *http.Request) bool) *testenv.Registry {
	return testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !f(w, r) {
				next.ServeHTTP(w, r)
			}
		})
	}})
}

func refuse(w http.ResponseWriter, status int, code string) bool {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"errors":[{"code":%q,"message":"refused by the test"}]}`, code)
	return true
}

func TestRegistryRefusesManifest(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		bad := faulty(t, func(rw http.ResponseWriter, r *http.Request) bool {
			return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") && refuse(rw, http.StatusForbidden, "DENIED")
		})
		good := w.registry.Host + "/acme/both"
		c := start(t, w.env(), "run", "-t", good, "-t", bad.Host+"/acme/both", "--untested", testenv.Dir(t, "Dockerfile", plainDockerfile))
		c.exits(6)
		c.says(bad.Host+"/acme/both", "no tag moved")
		if got := resolve(t.Fatalf, good); got != "none" {
			t.Errorf("the tag on the registry that works is %s, want none", got)
		}
	})
}

func TestRegistryHasNoSuchRepository(t *testing.T) {
	w := newWorld(t, testenv.SharedDaemon(t, testenv.Rootless))
	bad := faulty(t, func(rw http.ResponseWriter, r *http.Request) bool {
		return r.URL.Path != "/v2/" && refuse(rw, http.StatusNotFound, "NAME_UNKNOWN")
	})
	c := start(t, w.env(), "run", "-t", bad.Host+"/acme/none", "--untested", testenv.Dir(t, "Dockerfile", plainDockerfile))
	c.exits(6)
	c.says(bad.Host+"/acme/none", "create the repository first", "no tag moved")
}

func TestRegistryRefusesTagAfterAnotherMoved(t *testing.T) {
	w := newWorld(t, testenv.SharedDaemon(t, testenv.Root))
	bad := faulty(t, func(rw http.ResponseWriter, r *http.Request) bool {
		return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/locked") && refuse(rw, http.StatusForbidden, "DENIED")
	})
	good := w.registry.Host + "/acme/partial:1"
	locked := bad.Host + "/acme/partial:locked"
	result := filepath.Join(t.TempDir(), "result.json")
	c := start(t, w.env(), "run", "-t", good, "-t", locked, "--untested", "--result-file", result, testenv.Dir(t, "Dockerfile", plainDockerfile))
	c.exits(7)
	digest := resolve(t.Fatalf, good)
	if want := good + "@" + digest + "\n"; c.out.String() != want {
		t.Errorf("standard output = %q, want the one that moved: %q", c.out.String(), want)
	}
	c.says("failed  "+locked+"  tag not moved", "moved already: "+good, bad.Host+" took the image, and refused the tag "+locked)
	if strings.Contains(c.stderr(), "is back") {
		t.Errorf("a registry that refuses has gone, it says:\n%s", c.stderr())
	}
	raw, err := os.ReadFile(result)
	if err != nil {
		t.Fatal(err)
	}
	if want := `"reference": "` + locked + `",`; !strings.Contains(string(raw), want) {
		t.Errorf("the result file has no %s:\n%s", want, raw)
	}
}

// TestBuilderDiesWhileTagging kills the builder between two tags. They no longer need it:
// both move, and if the registry refuses one, the other is not forgotten.
func TestBuilderDiesWhileTagging(t *testing.T) {
	for name, test := range map[string]struct {
		code int
		last func(next http.Handler, rw http.ResponseWriter, r *http.Request)
		want []string // of the tags
	}{
		"the second moves": {0, http.Handler.ServeHTTP, []string{"1", "2"}},
		"the second is refused": {7, func(_ http.Handler, rw http.ResponseWriter, _ *http.Request) {
			refuse(rw, http.StatusForbidden, "DENIED")
		}, []string{"1"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, testenv.StartDaemon(t, testenv.DaemonOptions{Kind: testenv.Root}))
			first := make(chan struct{})
			reg := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					switch put := r.Method == http.MethodPut; {
					case put && strings.HasSuffix(r.URL.Path, "/manifests/1"):
						next.ServeHTTP(rw, r)
						close(first)
					case put && strings.HasSuffix(r.URL.Path, "/manifests/2"):
						<-first
						w.daemon.Kill()
						test.last(next, rw, r)
					default:
						next.ServeHTTP(rw, r)
					}
				})
			}})
			ref := reg.Host + "/acme/tagging:"
			c := start(t, w.env(), "run", "-t", ref+"1", "-t", ref+"2", "--test", "true", testenv.Dir(t, "Dockerfile", plainDockerfile))
			c.exits(test.code)
			var want strings.Builder
			for _, tag := range test.want {
				want.WriteString(ref + tag + "@" + resolve(t.Fatalf, ref+tag) + "\n")
			}
			if c.out.String() != want.String() {
				t.Errorf("standard output = %q, want those that moved: %q", c.out.String(), want.String())
			}
		})
	}
}

// login writes a docker configuration with credentials for a registry.
func login(t *testing.T, host, user, password string) string {
	t.Helper()
	dir := t.TempDir()
	config := fmt.Sprintf(`{"auths":{%q:{"username":%q,"password":%q}}}`, host, user, password)
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return "DOCKER_CONFIG=" + dir
}

func TestCredentials(t *testing.T) {
	const password = "pa55-of-the-test"
	for name, auth := range map[string]testenv.Auth{"basic": testenv.AuthBasic, "token": testenv.AuthToken} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, testenv.SharedDaemon(t, testenv.Rootless))
			private := testenv.StartRegistry(t, testenv.RegistryOptions{Auth: auth, User: "captain", Password: password})
			ref := private.Host + "/acme/private"
			project := testenv.Dir(t, "Dockerfile", plainDockerfile)

			anonymous := start(t, w.env(), "run", "-t", ref, "--untested", project)
			anonymous.exits(6)
			anonymous.says("docker login "+private.Host, "no tag moved")

			wrong := start(t, append(w.env(), login(t, private.Host, "captain", "wr0ng-secret")), "run", "-t", ref, "--untested", project)
			wrong.exits(6)
			wrong.says("were refused")
			if strings.Contains(wrong.stderr(), "wr0ng-secret") {
				t.Errorf("the password is in the output:\n%s", wrong.stderr())
			}

			right := append(w.env(), login(t, private.Host, "captain", password))
			pushed := start(t, right, "run", "-t", ref, "--untested", project)
			pushed.exits(0)

			// The same registry as the place of a base image: the builder
			// may pull from there with what the session lends it.
			child := testenv.Dir(t, "Dockerfile", "FROM "+ref+"\nRUN echo child\n")
			pulled := start(t, right, "run", "-t", private.Host+"/acme/child", "--test", "true", child)
			pulled.exits(0)
			if strings.Contains(pulled.stderr()+pushed.stderr(), password) {
				t.Errorf("the password is in the output:\n%s", pulled.stderr())
			}
		})
	}
}

// TestBuilderGetsNoTokenThatPushes looks at who asks the token server for what.
func TestBuilderGetsNoCredentialsForTheDestination(t *testing.T) {
	w := newWorld(t, testenv.SharedDaemon(t, testenv.Rootless))
	const password = "pa55-of-the-test"
	private := testenv.StartRegistry(t, testenv.RegistryOptions{Auth: testenv.AuthBasic, User: "captain", Password: password})
	project := testenv.Dir(t, "Dockerfile", plainDockerfile)
	c := start(t, append(w.env(), login(t, private.Host, "captain", password)), "run", "-t", private.Host+"/acme/app", "--untested", project)
	c.exits(0)
	if log := w.daemon.Log(); strings.Contains(log, private.Host) || strings.Contains(log, password) {
		t.Errorf("the builder heard of the destination %s:\n%s", private.Host, log)
	}
}

// TestPassOnAnotherImageIsNoPass makes two images by the same steps, of which one
// passes. The builder's cache knows the test by its steps; the tag must not.
func TestPassOnAnotherImageIsNoPass(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		for name, test := range map[string][]string{"command": {"--test", "grep good /v"}, "stage": {"--test-stage", "test"}} {
			t.Run(name, func(t *testing.T) {
				// Steps of its own: the daemon may still hold those of a run that
				// failed just now, and would not run them again for the next one.
				project := testenv.Dir(t, "Dockerfile", "FROM busybox AS app\nRUN --mount=type=secret,id=v cp /run/secrets/v /v && : "+t.TempDir()+
					"\nFROM app AS test\nRUN grep good /v\nFROM app\n")
				ref := w.registry.Host + "/acme/" + name
				run := func(value string, code int, more ...string) *command {
					args := append([]string{"run", "-t", ref, "--secret", "id=v,env=VALUE"}, append(test, more...)...)
					c := start(t, append(w.env(), "VALUE="+value), append(args, project)...)
					c.exits(code)
					return c
				}
				run("good", 0, "--no-cache")
				good := resolve(t.Fatalf, ref)
				run("good", 0).says("passed (cached")
				run("bad", 4, "--no-cache")
				run("bad", 4) // every step is in the cache, and the test passed before: on another image
				run("bad", 4)
				if got := resolve(t.Fatalf, ref); got != good {
					t.Errorf("the tag moved to %s, an image whose test failed; want %s", got, good)
				}
			})
		}
	})
}

// TestReaderThatHasGone closes the pipes that seatrial prints to: it must still stop
// the builder that it has started.
func TestReaderThatHasGone(t *testing.T) {
	w := newWorld(t, testenv.SharedDaemon(t, testenv.Root))
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out.Close()
	cmd := seatrial(t, w.env(), "test", "--test", "true", testenv.Dir(t, "Dockerfile", plainDockerfile))
	cmd.Stdout, cmd.Stderr = in, in
	err = cmd.Run()
	in.Close()
	if code := cmd.ProcessState.ExitCode(); code < 0 {
		t.Errorf("seatrial ended by a signal: %v", err)
	}
}

// TestProxyTimesOutWhileTagging has the registry write a tag and a proxy answer that it
// took too long.
func TestProxyTimesOutWhileTagging(t *testing.T) {
	w := newWorld(t, testenv.SharedDaemon(t, testenv.Root))
	proxy := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPut || !strings.HasSuffix(r.URL.Path, "/manifests/1") {
				next.ServeHTTP(rw, r)
				return
			}
			next.ServeHTTP(httptest.NewRecorder(), r)
			refuse(rw, http.StatusGatewayTimeout, "UNKNOWN")
		})
	}})
	ref := proxy.Host + "/acme/slow:1"
	c := start(t, w.env(), "run", "-t", ref, "--untested", testenv.Dir(t, "Dockerfile", plainDockerfile))
	c.exits(0) // it moved: the registry says so when asked
	if got := resolve(t.Fatalf, ref); !strings.Contains(c.out.String(), got) {
		t.Errorf("standard output = %q, want the digest %s", c.out.String(), got)
	}
}
