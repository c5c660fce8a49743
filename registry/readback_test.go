package registry_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// onRegistries runs a test on the distribution project's registry of today and on
// the old one of Debian's package, both with the fault.
func onRegistries(t *testing.T, wrap func(http.Handler) http.Handler, f func(t *testing.T, reg *testenv.Registry)) {
	t.Run("distribution", func(t *testing.T) { f(t, testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: wrap})) })
	t.Run("debian", func(t *testing.T) { f(t, testenv.StartProxiedDebianRegistry(t, wrap)) })
}

// second answers the second matching request only.
func second(answer http.HandlerFunc) func(http.ResponseWriter, *http.Request) bool {
	var count atomic.Int64
	return func(w http.ResponseWriter, req *http.Request) bool {
		if count.Add(1) != 2 {
			return false
		}
		answer(w, req)
		return true
	}
}

// saying makes an answer with the digest of a manifest.
func saying(status int, digest string) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		w.Header().Set("Docker-Content-Digest", digest)
		w.WriteHeader(status)
	}
}

// A registry that says it moved the tag, even to the right digest, and has not.
func TestTagIsReadBack(t *testing.T) {
	old, now := loaded(t), loaded(t)
	lie := saying(http.StatusCreated, must(now.Digest())(t).String())
	for _, named := range []string{"nothing", "another image"} {
		t.Run(named, func(t *testing.T) {
			swallow := always(lie)
			if named != "nothing" {
				swallow = second(lie)
			}
			reg := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: fault("PUT", "/manifests/1", swallow)})
			want := ""
			if named != "nothing" {
				push(t, old, registry.Options{}, reg.Host+"/app:1")
				want = must(old.Digest())(t).String()
			}
			pushed, err := newPush(t, registry.Options{}, reg.Host+"/app:1").Commit(t.Context(), now)
			var partial *registry.PartialError
			if err == nil || errors.As(err, &partial) || !strings.Contains(err.Error(), "the tag names another") {
				t.Errorf("Commit = %v, %v, want a plain error: no tag has moved", pushed, err)
			}
			if got := names(t, reg.Host+"/app:1"); got != want {
				t.Errorf("the tag names %q, want %q", got, want)
			}
		})
	}
}

// A cache before the registry that is a moment behind.
func TestTagIsReadBackPatiently(t *testing.T) {
	old, now := loaded(t), loaded(t)
	var put atomic.Bool
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: func(next http.Handler) http.Handler {
		stale := times(1, saying(http.StatusOK, must(old.Digest())(t).String()))
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			tag := strings.HasSuffix(req.URL.Path, "/manifests/1")
			if tag && put.Load() && req.Method == http.MethodHead && stale(w, req) {
				return
			}
			next.ServeHTTP(w, req)
			if tag && req.Method == http.MethodPut {
				put.Store(true)
			}
		})
	}})
	if pushed := push(t, now, registry.Options{}, reg.Host+"/app:1"); !pushed[0].Moved || pushed[0].Overtaken.Hex != "" {
		t.Errorf("pushed = %+v, want the tag moved and not overtaken", pushed)
	}
}

// overtaking has another push move a tag on as soon as it was written, once for each time
// that it is armed.
func overtaking(t *testing.T, armed *atomic.Bool, tag string, other registry.Artifact) func(http.Handler) http.Handler {
	t.Helper()
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			next.ServeHTTP(w, req)
			if req.Method == http.MethodPut && strings.HasSuffix(req.URL.Path, "/manifests/"+tag) && armed.CompareAndSwap(true, false) {
				push(t, other, registry.Options{}, req.Host+"/app:"+tag)
			}
		})
	}
}

// Two pushes to one tag at the same time: the last wins, and the other has not
// failed.
func TestTagThatAnotherPushMovesOn(t *testing.T) {
	a, other := loaded(t), loaded(t)
	var overtake atomic.Bool
	onRegistries(t, overtaking(t, &overtake, "1", other), func(t *testing.T, reg *testenv.Registry) {
		push(t, loaded(t), registry.Options{}, reg.Host+"/app:1")
		overtake.Store(true)
		pushed := push(t, a, registry.Options{}, reg.Host+"/app:1")
		if want := must(other.Digest())(t); !pushed[0].Moved || pushed[0].Overtaken != want {
			t.Errorf("pushed = %+v, want a tag that moved, and was moved on to %s", pushed[0], want)
		}
	})
}

// A registry that says it moved tags, of which only one was looked at before, and has not.
func TestTagsAreReadBack(t *testing.T) {
	other, now := loaded(t), loaded(t)
	took := saying(http.StatusCreated, must(now.Digest())(t).String())
	for _, tc := range []struct {
		name    string
		swallow []string // tags that the registry only says it has moved
		named   bool     // they name another image
		want    string   // in the error
	}{
		{"a registry that moves no tag", []string{"1", "2"}, true, "the tag names another"},
		{"a registry that makes no tag", []string{"1", "2"}, false, "the tag names another: none"},
		{"a registry that does not make the first", []string{"1"}, false, "the tag names another: none"},
		{"a registry that does not make the second", []string{"2"}, false, "the tag names another: none"},
		{"a registry that does not move the second", []string{"2"}, true, "the tag names another"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var lying atomic.Bool
			reg := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					if lying.Load() && req.Method == http.MethodPut && slices.Contains(tc.swallow, strings.TrimPrefix(req.URL.Path, "/v2/app/manifests/")) {
						took(w, req)
						return
					}
					next.ServeHTTP(w, req)
				})
			}})
			tags := []string{reg.Host + "/app:1", reg.Host + "/app:2"}
			if tc.named {
				push(t, other, registry.Options{}, tags...)
			}
			lying.Store(true)
			p := newPush(t, registry.Options{}, tags...).WithBackoff(time.Millisecond)
			if err := p.Connect(t.Context()); err != nil {
				t.Fatal(err)
			}
			if pushed, err := p.Commit(t.Context(), now); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Commit = %v, %v, want an error with %q", pushed, err, tc.want)
			}
		})
	}
}

// A tag that was not looked at before, since the image is new, and that another push moves
// on.
func TestTagThatAnotherPushMovesOnUnseen(t *testing.T) {
	old, other, now := loaded(t), loaded(t), loaded(t)
	var overtake atomic.Bool
	onRegistries(t, overtaking(t, &overtake, "1", other), func(t *testing.T, reg *testenv.Registry) {
		tags := []string{reg.Host + "/app:1", reg.Host + "/app:2"}
		push(t, old, registry.Options{}, tags...)
		p := newPush(t, registry.Options{}, tags...)
		if err := p.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		upload(t, p, now)
		overtake.Store(true)
		pushed := commit(t, p, now)
		if want := must(other.Digest())(t); !pushed[0].Moved || pushed[0].Overtaken != want || pushed[1].Overtaken.Hex != "" {
			t.Errorf("pushed = %+v, want both moved, and the first moved on to %s", pushed, want)
		}
	})
}

// Tags that may be written once only, and the same image from two runs at a time: the
// later one is refused, and has what it wants.
func TestTagThatATwinMoved(t *testing.T) {
	a := loaded(t)
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method != http.MethodPut || !strings.HasSuffix(req.URL.Path, "/manifests/2") {
				next.ServeHTTP(w, req)
				return
			}
			next.ServeHTTP(httptest.NewRecorder(), req) // the twin's
			answering(http.StatusBadRequest, `{"errors":[{"code":"TAG_INVALID","message":"the tag is immutable"}]}`)(w, req)
		})
	}})
	pushed := push(t, a, registry.Options{}, reg.Host+"/app:1", reg.Host+"/app:2")
	if len(pushed) != 2 || !pushed[0].Moved || pushed[1].Moved {
		t.Errorf("pushed = %+v, want both, and only the first moved", pushed)
	}
}

// What a registry says of what it took and has must hold, or no tag moves.
func TestRegistryThatLies(t *testing.T) {
	a := loaded(t)
	zeros := "sha256:" + strings.Repeat("0", 64)
	own := must(a.Digest())(t).String()
	for name, wrap := range map[string]func(http.Handler) http.Handler{
		"stored another manifest":  fault("PUT", "/manifests/sha256:", always(saying(http.StatusCreated, zeros))),
		"has every blob":           fault("HEAD", "/blobs/", always(answering(http.StatusOK, ""))),
		"has the manifest already": fault("HEAD", "/manifests/sha256:", always(saying(http.StatusOK, own))),
	} {
		t.Run(name, func(t *testing.T) {
			onRegistries(t, wrap, func(t *testing.T, reg *testenv.Registry) {
				two := []string{reg.Host + "/app:1", reg.Host + "/app:2"} // one alone is not put by its digest first
				p := newPush(t, registry.Options{}, two...).WithBackoff(time.Millisecond)
				pushed, err := p.Commit(t.Context(), a)
				var partial *registry.PartialError
				if err == nil || errors.As(err, &partial) {
					t.Errorf("Commit = %v, %v, want a plain error", pushed, err)
				}
				for _, tag := range two {
					if got := names(t, tag); got != "" {
						t.Errorf("%s names %s, want nothing", tag, got)
					}
				}
			})
		})
	}
}

// A registry that makes another manifest of the one that it is given has moved a lone tag,
// which is not put by its digest first, to what nobody has tested.
func TestLoneTagMovesToAnotherManifest(t *testing.T) {
	a := loaded(t)
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method == http.MethodPut && strings.HasSuffix(req.URL.Path, "/manifests/1") {
				body := append(must(io.ReadAll(req.Body))(t), '\n')
				req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			}
			next.ServeHTTP(w, req)
		})
	}})
	pushed, err := newPush(t, registry.Options{}, reg.Host+"/app:1").WithBackoff(time.Millisecond).Commit(t.Context(), a)
	var partial *registry.PartialError
	if !errors.As(err, &partial) || len(partial.Failed) != 1 || !partial.Failed[0].Unsure {
		t.Errorf("Commit = %v, %v, want an error that does not say that no tag has moved", pushed, err)
	}
	if got := names(t, reg.Host+"/app:1"); got == "" || got == must(a.Digest())(t).String() {
		t.Fatalf("the tag names %q, want another manifest", got)
	}
}

// The docker-registry of old misses, for a moment, a blob that another push is just
// sending as well.
func TestManifestWhoseBlobIsMissedForAMoment(t *testing.T) {
	missing := answering(http.StatusBadRequest, `{"errors":[{"code":"DIGEST_INVALID"},{"code":"MANIFEST_BLOB_UNKNOWN"}]}`)
	onRegistries(t, fault("PUT", "/manifests/", times(3, missing)), func(t *testing.T, reg *testenv.Registry) {
		p := newPush(t, registry.Options{}, reg.Host+"/app:1").WithBackoff(time.Millisecond)
		pushed, err := p.Commit(t.Context(), loaded(t))
		if err != nil {
			t.Fatalf("Commit = %v, want nil", err)
		}
		pull(t, pushed[0].Reference, reg)
	})
}
