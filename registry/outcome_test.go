package registry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// saysWhatMoved compares what Commit tells of the one tag with where it is: a tag that
// moved must be among those that did, or be said to be unsure. A plain error says that
// no tag has moved, and is exit code 6.
func saysWhatMoved(t *testing.T, tag, want string, pushed []registry.Pushed, err error) {
	t.Helper()
	if got := names(t, tag); got != want {
		t.Fatalf("%s names %q, want %s: the test tests nothing", tag, got, want)
	}
	for _, p := range pushed {
		if p.Reference.Name() == tag && p.Moved {
			return
		}
	}
	var partial *registry.PartialError
	if errors.As(err, &partial) {
		for _, f := range partial.Failed {
			if f.Reference.Name() == tag && f.Unsure {
				return
			}
		}
	}
	t.Errorf("Commit = %+v, %v: nothing says that %s has moved, or may have", pushed, err, tag)
}

// The registry takes the tag and then refuses to say what it names, as Harbor does of an
// image that is not scanned yet, or a rate limit does.
func TestTagThatMayNotBeReadBack(t *testing.T) {
	a := loaded(t)
	for _, status := range []int{401, 403, 412, 429} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			var put atomic.Bool
			onRegistries(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					tag := strings.HasSuffix(req.URL.Path, "/manifests/1")
					if tag && put.Load() && req.Header.Get("X-Test") == "" && strings.Contains(req.UserAgent(), "seatrial") {
						w.WriteHeader(status)
						return
					}
					next.ServeHTTP(w, req)
					if tag && req.Method == http.MethodPut {
						put.Store(true)
					}
				})
			}, func(t *testing.T, reg *testenv.Registry) {
				put.Store(false)
				p := newPush(t, registry.Options{}, reg.Host+"/app:1").WithBackoff(time.Millisecond)
				pushed, err := p.Commit(t.Context(), a)
				saysWhatMoved(t, reg.Host+"/app:1", must(a.Digest())(t).String(), pushed, err)
			})
		})
	}
}

// A registry that makes tags, but does not move one that is there, and says that it did.
// That it has made the first tag, which named nothing, does not speak for the second.
func TestSecondTagStaysWhereFirstIsNew(t *testing.T) {
	old, now := loaded(t), loaded(t)
	took := saying(http.StatusCreated, must(now.Digest())(t).String())
	var armed atomic.Bool
	onRegistries(t, fault("PUT", "/manifests/latest", func(w http.ResponseWriter, req *http.Request) bool {
		if armed.Load() {
			took(w, req)
		}
		return armed.Load()
	}), func(t *testing.T, reg *testenv.Registry) {
		armed.Store(false)
		push(t, old, registry.Options{}, reg.Host+"/app:latest")
		armed.Store(true)
		p := newPush(t, registry.Options{}, reg.Host+"/app:2", reg.Host+"/app:latest").WithBackoff(time.Millisecond)
		if err := p.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		pushed, err := p.Commit(t.Context(), now)
		if got, want := names(t, reg.Host+"/app:latest"), must(old.Digest())(t).String(); got != want {
			t.Fatalf("latest names %s, want %s: the test tests nothing", got, want)
		}
		if err == nil {
			t.Errorf("Commit = %+v, nil, want an error: latest still names what it named before", pushed)
		}
	})
}

// A tag that may be written once only, whose first answer is lost: it was this push that
// moved it, and what the registry says of the second try does not undo that.
func TestTagMovedThenRefused(t *testing.T) {
	a := loaded(t)
	lost := map[string]http.HandlerFunc{"connection lost": hangUp, "504": answering(504, "")}
	for name, lose := range lost {
		for _, confirmed := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, can be asked for: %v", name, confirmed), func(t *testing.T) {
				var puts sync.Map
				onRegistries(t, func(next http.Handler) http.Handler {
					return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
						tag := strings.HasSuffix(req.URL.Path, "/manifests/1")
						_, again := puts.Load(req.Host)
						switch {
						case tag && req.Method == http.MethodPut && !again:
							next.ServeHTTP(httptest.NewRecorder(), req)
							puts.Store(req.Host, true)
							lose(w, req)
						case tag && req.Method == http.MethodPut:
							_, _ = io.Copy(io.Discard, req.Body)
							answering(400, `{"errors":[{"code":"TAG_INVALID","message":"the tag is immutable"}]}`)(w, req)
						case tag && again && !confirmed && strings.Contains(req.UserAgent(), "seatrial"):
							answering(503, "")(w, req)
						case strings.HasSuffix(req.URL.Path, "/manifests/2") && req.Method == http.MethodPut:
							answering(403, `{"errors":[{"code":"DENIED"}]}`)(w, req)
						default:
							next.ServeHTTP(w, req)
						}
					})
				}, func(t *testing.T, reg *testenv.Registry) {
					p := newPush(t, registry.Options{}, reg.Host+"/app:1", reg.Host+"/app:2").WithBackoff(time.Millisecond)
					pushed, err := p.Commit(t.Context(), a)
					saysWhatMoved(t, reg.Host+"/app:1", must(a.Digest())(t).String(), pushed, err)
				})
			})
		}
	}
}

// A registry whose answer to HEAD does not have the digest, which is optional there.
func TestTagMovedWithoutAnswerOfASilentRegistry(t *testing.T) {
	a := loaded(t)
	for _, how := range []string{"connection lost", "cancelled"} {
		t.Run(how, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			reg := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					tag := strings.HasSuffix(req.URL.Path, "/manifests/1")
					switch {
					case tag && req.Method == http.MethodPut:
						next.ServeHTTP(discardAnswer{}, req.WithContext(context.WithoutCancel(req.Context())))
						if how == "cancelled" {
							cancel()
							<-req.Context().Done()
							return
						}
						hangUp(w, req)
					case tag && req.Method == http.MethodHead:
						rec := httptest.NewRecorder()
						next.ServeHTTP(rec, req)
						w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
						w.WriteHeader(rec.Code)
					default:
						next.ServeHTTP(w, req)
					}
				})
			}})
			p := newPush(t, registry.Options{}, reg.Host+"/app:1").WithBackoff(time.Millisecond)
			pushed, err := p.Commit(ctx, a)
			saysWhatMoved(t, reg.Host+"/app:1", must(a.Digest())(t).String(), pushed, err)
		})
	}
}

// A push that is cancelled while the registry still works at the tag, which is there a
// moment after it was looked for.
func TestTagMovesAfterThePushWasCancelled(t *testing.T) {
	a := loaded(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	looked, moved := make(chan struct{}), make(chan struct{})
	look := sync.OnceFunc(func() { close(looked) })
	var put atomic.Bool
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if !strings.HasSuffix(req.URL.Path, "/manifests/1") {
				next.ServeHTTP(w, req)
				return
			}
			if req.Method == http.MethodPut {
				body, _ := io.ReadAll(req.Body)
				later := req.Clone(context.WithoutCancel(req.Context()))
				later.Body = io.NopCloser(strings.NewReader(string(body)))
				put.Store(true)
				cancel()
				<-looked
				next.ServeHTTP(discardAnswer{}, later)
				close(moved)
				return
			}
			next.ServeHTTP(w, req)
			if put.Load() {
				look()
			}
		})
	}})
	pushed, err := newPush(t, registry.Options{}, reg.Host+"/app:1").Commit(ctx, a)
	<-moved
	saysWhatMoved(t, reg.Host+"/app:1", must(a.Digest())(t).String(), pushed, err)
}

// What another run of the same image did between Upload and Commit was not done by this one.
func TestTwinBetweenUploadAndCommit(t *testing.T) {
	a := loaded(t)
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
	tags := []string{reg.Host + "/app:1", reg.Host + "/app:2"}
	p := newPush(t, registry.Options{}, tags...)
	upload(t, p, a)
	push(t, a, registry.Options{}, tags...) // the twin, while this one is tested
	reg.Forget()
	pushed := commit(t, p, a)
	if pushed[0].Moved || pushed[1].Moved {
		t.Errorf("moved: %v and %v, want neither; %v", pushed[0].Moved, pushed[1].Moved, reg.Requests())
	}
}

// One after the other, and back, within the time that a look at a tag counts.
func TestCommitBack(t *testing.T) {
	a, b := loaded(t), loaded(t)
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
	tag := reg.Host + "/app:1"
	push(t, a, registry.Options{}, tag)
	p := newPush(t, registry.Options{}, tag)
	if err := p.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, one := range []registry.Artifact{b, a} {
		pushed := commit(t, p, one)
		if got, want := names(t, tag), must(one.Digest())(t).String(); got != want {
			t.Errorf("after Commit = %+v the tag names %s, want %s", pushed, got, want)
		}
	}
}

// Another run of the same image has moved the first tag, and one of another image moves
// the second on after us: nothing has failed.
func TestSecondTagOvertakenAfterATwin(t *testing.T) {
	a, other := loaded(t), loaded(t)
	var overtake atomic.Bool
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: overtaking(t, &overtake, "2", other)})
	p := newPush(t, registry.Options{}, reg.Host+"/app:1", reg.Host+"/app:2").WithBackoff(time.Millisecond)
	upload(t, p, a)
	push(t, a, registry.Options{}, reg.Host+"/app:1") // the twin
	overtake.Store(true)
	if pushed, err := p.Commit(t.Context(), a); err != nil {
		t.Errorf("Commit = %+v, %v, want nil", pushed, err)
	}
}

// What a tag names now is told of a registry that does not say it when asked by HEAD.
func TestPreviewOfASilentRegistry(t *testing.T) {
	old, now := loaded(t), loaded(t)
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method != http.MethodHead || !strings.HasSuffix(req.URL.Path, "/manifests/1") {
				next.ServeHTTP(w, req)
				return
			}
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, req)
			w.WriteHeader(rec.Code)
		})
	}})
	push(t, old, registry.Options{}, reg.Host+"/app:1")
	v, err := newPush(t, registry.Options{}, reg.Host+"/app:1").Preview(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	if want := must(old.Digest())(t); v.Tags[0].From != want {
		t.Errorf("the tag names %s, want %s", v.Tags[0].From, want)
	}
}

// A registry that lets nobody pull what a tag names now, as Harbor does where a project
// admits no image with known vulnerabilities: the image that mends them must get there.
func TestTagWhoseImageMayNotBePulled(t *testing.T) {
	old, now := loaded(t), loaded(t)
	policy := answering(412, `{"errors":[{"code":"PROJECTPOLICYVIOLATION","message":"current image with 3 vulnerabilities cannot be pulled"}]}`)
	var bad atomic.Bool
	onRegistries(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if bad.Load() && (req.Method == http.MethodHead || req.Method == http.MethodGet) && strings.HasSuffix(req.URL.Path, "/manifests/latest") {
				policy(w, req)
				return
			}
			next.ServeHTTP(w, req)
			if req.Method == http.MethodPut && strings.HasSuffix(req.URL.Path, "/manifests/latest") {
				bad.Store(false) // the new image is a good one
			}
		})
	}, func(t *testing.T, reg *testenv.Registry) {
		bad.Store(false)
		push(t, old, registry.Options{}, reg.Host+"/app:latest")
		bad.Store(true)
		p := newPush(t, registry.Options{}, reg.Host+"/app:latest").WithBackoff(time.Millisecond)
		pushed, err := p.Commit(t.Context(), now)
		bad.Store(false)
		if err != nil || !pushed[0].Moved {
			t.Errorf("Commit = %+v, %v, want the tag moved", pushed, err)
		}
	})
}

// dialFails fails every request to the tag like a connection that was refused.
type dialFails struct {
	http.RoundTripper
	armed *atomic.Bool
}

func (d dialFails) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodPut && strings.HasSuffix(req.URL.Path, "/manifests/1") {
		d.armed.Store(true)
	}
	if d.armed.Load() {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	return d.RoundTripper.RoundTrip(req)
}

// What could not be sent has moved nothing, also where nobody can be asked.
func TestTagThatWasNeverSent(t *testing.T) {
	a := loaded(t)
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
	opt := registry.Options{Transport: dialFails{registry.Transport(), new(atomic.Bool)}}
	_, err := newPush(t, opt, reg.Host+"/app:1").WithBackoff(time.Millisecond).Commit(t.Context(), a)
	var partial *registry.PartialError
	if err == nil || errors.As(err, &partial) {
		t.Errorf("Commit = %v, want a plain error: no tag can have moved", err)
	}
}

// Nor has a tag that waits for a registry's Retry-After when the push is cancelled.
func TestCancelledTagThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := newFarRegistry()
		far.handler = fault("PUT", "/manifests/1", always(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "30")
			w.WriteHeader(http.StatusServiceUnavailable)
		}))(far.handler)
		ctx, cancel := context.WithCancel(t.Context())
		var cancelled time.Time
		opt := registry.Options{Transport: far, Waiting: func(w registry.Wait) func() {
			if w.Reason == "" { // nothing but that the registry wants it
				cancelled = time.Now()
				cancel()
			}
			return func() {}
		}}
		_, err := newPush(t, opt, "far.example/app:1").Commit(ctx, storedImage(t))
		var partial *registry.PartialError
		if took := time.Since(cancelled); err == nil || errors.As(err, &partial) || took > 0 {
			t.Errorf("after %s Commit = %v, want a plain error at once: the registry said that it did not take the tag", took, err)
		}
	})
}
