package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/seatrial/seatrial/hack/testenv"
)

// pushFault is something that a registry does to a push.
type pushFault struct {
	name   string
	times  int64 // 0: always
	method string
	part   string // of the path
	answer func(w http.ResponseWriter, r *http.Request)
	code   int    // that seatrial exits with
	says   string // on standard error
}

func replying(code int, body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// taken answers as if the manifest had been stored as digest.
func taken(digest string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		if digest != "" {
			w.Header().Set("Docker-Content-Digest", digest)
		}
		w.WriteHeader(http.StatusCreated)
	}
}

func breakOff(w http.ResponseWriter, _ *http.Request) {
	if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
		c.Close()
	}
}

func never(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(http.StatusForbidden)
	for r.Context().Err() == nil {
		if _, err := io.WriteString(w, strings.Repeat("\x1b]0;no end\x07", 1000)); err != nil {
			return
		}
	}
}

var pushFaults = []pushFault{
	{name: "500 on a layer", times: 1, method: "PUT", part: "/blobs/uploads/", answer: replying(500, `{"errors":[{"code":"INTERNAL_ERROR"}]}`)},
	{name: "connection lost on a layer", times: 2, method: "PUT", part: "/blobs/uploads/", answer: breakOff},
	{name: "connection lost on a manifest", times: 1, method: "PUT", part: "/manifests/sha256:", answer: breakOff},
	{name: "connection lost on the tag", times: 1, method: "PUT", part: "/manifests/1", answer: breakOff},
	{name: "upload forgotten", times: 1, method: "PUT", part: "/blobs/uploads/", answer: replying(404, `{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}`)},
	{name: "busy", times: 3, method: "POST", part: "/blobs/uploads/", answer: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	}},
	{name: "denied", method: "PUT", part: "/blobs/uploads/", answer: replying(403, `{"errors":[{"code":"DENIED","message":"read-only"}]}`), code: 6, says: "read-only"},
	{name: "too large", method: "PUT", part: "/blobs/uploads/", answer: replying(413, ""), code: 6, says: "client_max_body_size"},
	{name: "disk full", method: "PUT", part: "/blobs/uploads/", answer: replying(500, `{"errors":[{"code":"UNKNOWN","message":"write: no space left on device"}]}`), code: 6, says: "no more room"},
	{name: "507", method: "PUT", part: "/blobs/uploads/", answer: replying(507, ""), code: 6, says: "no more room"},
	{name: "quota", method: "POST", part: "/blobs/uploads/", answer: replying(412, `{"errors":[{"code":"PRECONDITION","message":"quota exceeded"}]}`), code: 6, says: "quota exceeded"},
	{name: "endless answer", method: "PUT", part: "/blobs/uploads/", answer: never, code: 6, says: "403 Forbidden"},
	{name: "has every blob, it says", method: "HEAD", part: "/blobs/", answer: replying(200, ""), code: 6, says: "no tag moved"},
	{name: "stored another manifest", method: "PUT", part: "/manifests/sha256:", answer: taken("sha256:" + strings.Repeat("0", 64)), code: 6, says: "the registry stored sha256:000"},
	{name: "tag not moved", method: "PUT", part: "/manifests/1", answer: taken(""), code: 6, says: "the tag names another"},
}

// TestPushFaults has two kinds of registry do things to a push, in the middle of it.
// Whatever they do, the tag names what it named before, or the new image and all of
// it, as the exit code says; no secret is told, and nothing is left behind.
func TestPushFaults(t *testing.T) {
	const password = "pa55-of-the-test"
	for _, registry := range []string{"distribution, with tokens", "debian"} {
		t.Run(registry, func(t *testing.T) {
			var now atomic.Pointer[pushFault]
			var left atomic.Int64
			wrap := func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					f := now.Load()
					if f == nil || r.Method != f.method || !strings.Contains(r.URL.Path, f.part) || f.times > 0 && left.Add(-1) < 0 {
						next.ServeHTTP(w, r)
						return
					}
					f.answer(w, r)
				})
			}
			w := newWorld(t, testenv.SharedDaemon(t, testenv.Root))
			var reg *testenv.Registry
			if registry == "debian" {
				reg = testenv.StartProxiedDebianRegistry(t, wrap)
			} else {
				reg = testenv.StartRegistry(t, testenv.RegistryOptions{Auth: testenv.AuthToken, User: "captain", Password: password, Wrap: wrap})
			}
			ref := reg.Host + "/acme/app:1"
			tmp := t.TempDir()
			env := append(w.env(), login(t, reg.Host, "captain", password), "TMPDIR="+tmp)
			run := func(step string) *command {
				return start(t, env, "run", "-t", ref, "--test", "true", testenv.Dir(t, "Dockerfile", "FROM busybox\nRUN echo "+step+t.TempDir()+" >/made\n"))
			}
			run("first").exits(0)
			before := digestOf(t, ref, reg)
			for i, f := range pushFaults {
				left.Store(f.times)
				now.Store(&f)
				c := run(fmt.Sprint(i))
				c.exits(f.code)
				now.Store(nil)
				c.says(f.says)
				after := digestOf(t, ref, reg)
				if moved := after != before; moved != (f.code == 0) {
					t.Errorf("%s: exit code %d, and that the tag moved is %v", f.name, f.code, moved)
				}
				if f.code != 0 && c.out.Len() > 0 {
					t.Errorf("%s: standard output = %q, want nothing: no tag moved", f.name, c.out.String())
				}
				if all := c.out.String() + c.stderr(); strings.Contains(all, password) || strings.ContainsAny(all, "\x1b\x07") {
					t.Errorf("%s: the output tells a secret, or drives the terminal:\n%q", f.name, all)
				}
				if files, err := os.ReadDir(tmp); err != nil || len(files) > 0 {
					t.Errorf("%s: files left behind: %v, %v", f.name, files, err)
				}
				before = after
			}
		})
	}
}

// digestOf is what a tag names, an image that is all there.
func digestOf(t *testing.T, ref string, reg *testenv.Registry) string {
	t.Helper()
	parsed, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(parsed, remote.WithAuthFromKeychain(reg.Keychain()))
	if err == nil {
		err = validate.Image(img)
	}
	if err != nil {
		t.Fatalf("validating %s: %v", ref, err)
	}
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}
