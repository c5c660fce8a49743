package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seatrial/seatrial/hack/testenv"
)

// pushFault is something that a registry does to a push.
type pushFault struct {
	name   string
	times  int64 // 0: always
	method string
	part   string // of the path
	large  bool   // only what sends a lot: a layer
	tokens bool   // only where the registry asks for tokens
	answer func(w http.ResponseWriter, r *http.Request)
	also   string // another tag of the push, before the tag 1 in a registry that works if it has a "/", or after it
	code   int    // that seatrial exits with
	stays  string // the tag that does not move where another does
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
	w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s%s",service="registry",scope="repository:%s:pull,push",error="invalid_token"`, r.Host, testenv.TokenPath, pushedTo(r)))
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

var immutable = replying(403, `{"errors":[{"code":"DENIED","message":"immutable"}]}`)

var pushFaults = []pushFault{
	{name: "500 on a layer", times: 1, method: "PUT", part: "/blobs/uploads/", answer: replying(500, `{"errors":[{"code":"INTERNAL_ERROR"}]}`)},
	{name: "connection lost on a layer", times: 2, method: "PUT", part: "/blobs/uploads/", answer: breakOff},
	{name: "connection lost in the middle of a layer", times: 2, method: "PUT", part: "/blobs/uploads/", large: true, answer: breakOffWithin},
	{name: "token expired in the middle of a layer", times: 1, method: "PUT", part: "/blobs/uploads/", large: true, tokens: true, answer: expired},
	{name: "every token refused", method: "PUT", part: "/blobs/uploads/", tokens: true, answer: expired, code: 6, says: ": 401 Unauthorized: UNAUTHORIZED: refused by the test (with the credentials of "},
	{name: "503 on the tag", times: 2, method: "PUT", part: "/manifests/1", answer: replying(503, "")},
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
	{name: "lone tag refused", method: "PUT", part: "/manifests/1", answer: immutable, code: 6, says: "refused the tag"},
	{name: "second tag refused", method: "PUT", part: "/manifests/2", answer: immutable, also: "2", code: 7, stays: "2", says: "refused the tag"},
	{name: "first tag refused", method: "PUT", part: "/manifests/1", answer: immutable, also: "2", code: 7, stays: "1", says: "refused the tag"},
	{name: "tag refused when that of another registry has moved", method: "PUT", part: "/manifests/1", answer: immutable, also: "elsewhere", code: 7, stays: "1", says: "refused the tag"},
	{name: "manifest refused when another registry has it", method: "PUT", part: "/manifests/sha256:", answer: immutable, also: "elsewhere", code: 6, says: "immutable"},
}

// references are what a push that meets the fault is for: tags of a repository, and of one
// in another registry.
func (f *pushFault) references(repo, other string) []string {
	switch {
	case f.also == "":
		return []string{repo + ":1"}
	case f.also == "elsewhere":
		return []string{other + ":1", repo + ":1"}
	}
	return []string{repo + ":1", repo + ":" + f.also}
}

// meeting counts the requests that a fault meets.
type meeting struct {
	pushFault
	met atomic.Int64
}

// TestPushFaults has two kinds of registry do things to a push, in the middle of it.
func TestPushFaults(t *testing.T) {
	var faults sync.Map // by repository, each of which has one
	wrap := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fault, ok := faults.Load(pushedTo(r))
			if f, _ := fault.(*meeting); !ok || !f.meets(r) || f.met.Add(1) > f.times && f.times > 0 {
				next.ServeHTTP(w, r)
			} else {
				f.answer(w, r)
			}
		})
	}
	w := newWorld(t, testenv.SharedDaemon(t, testenv.Root))
	eachRegistry(t, wrap, func(t *testing.T, reg *testenv.Registry, config string) {
		references := func(i int) []string {
			repo := fmt.Sprintf("/acme/app%d", i)
			return pushFaults[i].references(reg.Host+repo, w.registry.Host+repo)
		}
		var all []string
		for i := range pushFaults {
			all = append(all, references(i)...)
		}
		env := append(w.env(), config)
		pushNoise(t, env, all...).exits(0)
		tokens := len(reg.Scopes()) > 0 // it asked for one
		for i, f := range pushFaults {
			if f.tokens && !tokens {
				continue
			}
			t.Run(f.name, func(t *testing.T) {
				t.Parallel() // much of it is waiting
				repo := fmt.Sprintf("acme/app%d", i)
				a := &aftermath{reg: reg, host: reg.Host, refs: references(i)}
				fault := &meeting{pushFault: f}
				faults.Store(repo, fault)
				c := a.push(t, env)
				<-c.read
				faults.Delete(repo)
				a.check(t, c, f.code, reg.Host+"/"+repo+":"+f.stays)
				c.says(f.says)
				if left := unfinished(reg, repo); len(left) > 0 {
					t.Errorf("uploads were neither finished nor cancelled:\n%s", strings.Join(left, "\n"))
				}
				if got, want := fault.met.Load(), max(1, f.times); got < want {
					t.Errorf("the fault has met %d requests, want %d: the test tests nothing", got, want)
				}
			})
		}
	})
}

// pushedTo is the one that a request is about, of those with two parts.
func pushedTo(r *http.Request) string {
	if parts := strings.SplitN(r.URL.Path, "/", 5); len(parts) == 5 {
		return parts[2] + "/" + parts[3]
	}
	return ""
}

// unfinished tells of the requests for uploads to a repository if some were begun that have
// neither come to an end nor were cancelled.
func unfinished(reg *testenv.Registry, repo string) []string {
	begun, over, all := 0, map[string]bool{}, []string(nil)
	for _, r := range reg.Requests() {
		if !strings.HasPrefix(r.Path, "/v2/"+repo+"/blobs/uploads/") {
			continue
		}
		all = append(all, fmt.Sprintf("%s: %d", r, r.Status))
		switch {
		case r.Method == http.MethodPost && r.Status == http.StatusAccepted:
			begun++
		case r.Method == http.MethodDelete, r.Method == http.MethodPut && (r.Status == http.StatusCreated || r.Status == http.StatusNotFound):
			over[r.Path] = true // 404: the registry has forgotten it itself
		}
	}
	if begun == len(over) {
		return nil
	}
	return all
}
