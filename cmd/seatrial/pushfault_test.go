package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/seatrial/seatrial/hack/testenv"
)

const registryPassword = "pa55-of-the-test"

// pushFault is something that a registry does to a push.
type pushFault struct {
	name   string
	times  int64 // 0: always
	method string
	part   string // of the path
	large  bool   // only what sends a lot: a layer
	tokens bool   // only where the registry asks for tokens
	answer func(w http.ResponseWriter, r *http.Request)
	code   int    // that seatrial exits with
	says   string // on standard error
}

func (f *pushFault) meets(r *http.Request) bool {
	return r.Method == f.method && strings.Contains(r.URL.Path, f.part) && (!f.large || r.ContentLength > 1<<19)
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

// breakOffWithin breaks off when a part of the body has come.
func breakOffWithin(w http.ResponseWriter, r *http.Request) {
	_, _ = io.CopyN(io.Discard, r.Body, 1000)
	breakOff(w, r)
}

// expired answers as to a token that expired while the body was on its way.
func expired(w http.ResponseWriter, r *http.Request) {
	_, _ = io.CopyN(io.Discard, r.Body, 1000)
	w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s%s",service="registry",scope="repository:acme/app:pull,push",error="invalid_token"`, r.Host, testenv.TokenPath))
	refuse(w, http.StatusUnauthorized, "UNAUTHORIZED")
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
	{name: "connection lost in the middle of a layer", times: 2, method: "PUT", part: "/blobs/uploads/", large: true, answer: breakOffWithin},
	{name: "token expired in the middle of a layer", times: 1, method: "PUT", part: "/blobs/uploads/", large: true, tokens: true, answer: expired},
	{name: "every token refused", method: "PUT", part: "/blobs/uploads/", tokens: true, answer: expired, code: 6, says: "/acme/app: 401 Unauthorized: UNAUTHORIZED: refused by the test (with the credentials of "},
	{name: "connection lost on a manifest", times: 1, method: "PUT", part: "/manifests/sha256:", answer: breakOff},
	{name: "connection lost on the tag", times: 1, method: "PUT", part: "/manifests/1", answer: breakOff},
	{name: "upload forgotten", times: 1, method: "PUT", part: "/blobs/uploads/", answer: replying(404, `{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}`)},
	{name: "busy", times: 3, method: "POST", part: "/blobs/uploads/", answer: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	}},
	{name: "busy until a date", times: 3, method: "POST", part: "/blobs/uploads/", answer: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", time.Now().Add(time.Second).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusServiceUnavailable)
	}},
	{name: "denied", method: "PUT", part: "/blobs/uploads/", answer: replying(403, `{"errors":[{"code":"DENIED","message":"read-only"}]}`), code: 6, says: "read-only"},
	{name: "too large", method: "PUT", part: "/blobs/uploads/", answer: replying(413, ""), code: 6, says: "client_max_body_size"},
	{name: "disk full", method: "PUT", part: "/blobs/uploads/", answer: replying(500, `{"errors":[{"code":"UNKNOWN","message":"write: no space left on device"}]}`), code: 6, says: "no more room"},
	{name: "507", method: "PUT", part: "/blobs/uploads/", answer: replying(507, ""), code: 6, says: "no more room"},
	{name: "disk full, by number", method: "POST", part: "/blobs/uploads/", answer: replying(500, `{"errors":[{"code":"UNKNOWN","message":"unknown error","detail":{"DriverName":"filesystem","Enclosed":{"Op":"mkdir","Path":"/v2","Err":28}}}]}`), code: 6, says: "no more room"},
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
	var now atomic.Pointer[pushFault]
	var left atomic.Int64
	wrap := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			f := now.Load()
			if f == nil || !f.meets(r) || f.times > 0 && left.Add(-1) < 0 {
				next.ServeHTTP(w, r)
				return
			}
			f.answer(w, r)
		})
	}
	w := newWorld(t, testenv.SharedDaemon(t, testenv.Root))
	eachRegistry(t, wrap, func(t *testing.T, reg *testenv.Registry, config string) {
		ref := reg.Host + "/acme/app:1"
		tmp := t.TempDir()
		env := append(w.env(), config, "TMPDIR="+tmp)
		start(t, env, "run", "-t", ref, "--test", "true", noise(t)).exits(0)
		before := digestOf(t, ref, reg)
		tokens := len(reg.Scopes()) > 0 // it asked for one
		for _, f := range pushFaults {
			if f.tokens && !tokens {
				continue
			}
			left.Store(f.times)
			now.Store(&f)
			c := start(t, env, "run", "-t", ref, "--test", "true", noise(t))
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
			if all := c.out.String() + c.stderr(); strings.Contains(all, registryPassword) || strings.ContainsAny(all, "\x1b\x07") {
				t.Errorf("%s: the output tells a secret, or drives the terminal:\n%q", f.name, all)
			}
			if files, err := os.ReadDir(tmp); err != nil || len(files) > 0 {
				t.Errorf("%s: files left behind: %v, %v", f.name, files, err)
			}
			before = after
		}
	})
}

// named is the digest that a reference names.
func named(t *testing.T, ref string, reg *testenv.Registry) string {
	t.Helper()
	parsed, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	desc, err := remote.Head(parsed, remote.WithAuthFromKeychain(reg.Keychain()))
	if err != nil {
		t.Fatal(err)
	}
	return desc.Digest.String()
}

// digestOf is the image that a reference names, or that of the index, which is all
// there.
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
