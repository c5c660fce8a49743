package registry_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// fault lets answer deal with the requests that match, as long as it returns
// true; the registry gets the others.
func fault(method, part string, answer func(w http.ResponseWriter, req *http.Request) bool) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method == method && strings.Contains(req.URL.Path, part) && answer(w, req) {
				return
			}
			next.ServeHTTP(w, req)
		})
	}
}

// times makes an answer that is given n times.
func times(n int64, answer http.HandlerFunc) func(http.ResponseWriter, *http.Request) bool {
	var count atomic.Int64
	return func(w http.ResponseWriter, req *http.Request) bool {
		if count.Add(1) > n {
			return false
		}
		answer(w, req)
		return true
	}
}

func always(answer http.HandlerFunc) func(http.ResponseWriter, *http.Request) bool {
	return times(1<<40, answer)
}

func answering(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func loaded(t *testing.T) registry.Artifact {
	t.Helper()
	d := startDaemon(t)
	return d.load(t, d.add(t, testenv.RandomImage(t, 2, 400_000)), registry.LoadOptions{})
}

func TestAuthentication(t *testing.T) {
	a := loaded(t)
	for _, auth := range []testenv.Auth{testenv.AuthBasic, testenv.AuthToken} {
		for _, security := range []string{"plain", "TLS"} {
			reg := testenv.StartRegistry(t, testenv.RegistryOptions{Auth: auth, TLS: security == "TLS"})
			opt := registry.Options{Keychain: reg.Keychain(), Transport: registry.Transport()}
			if security == "TLS" {
				opt.Transport = reg.Transport(opt.Transport)
			}
			push(t, a, opt, reg.Host+"/app:1")
			got := names(t, reg.Host+"/app:1", remote.WithAuthFromKeychain(reg.Keychain()), remote.WithTransport(opt.Transport))
			if want := must(a.Digest())(t).String(); got != want {
				t.Errorf("auth %d, %s: tag names %q, want %s", auth, security, got, want)
			}
		}
	}
}

// HTTP/2 makes uploads slow.
func TestTransportSpeaksHTTP1(t *testing.T) {
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{TLS: true})
	push(t, loaded(t), registry.Options{Transport: reg.Transport(registry.Transport())}, reg.Host+"/app:1")
	for _, req := range reg.Requests() {
		if req.Proto != "HTTP/1.1" {
			t.Errorf("%s came by %s, want HTTP/1.1", req, req.Proto)
		}
	}
}

type fixedKeychain struct{ authn.Authenticator }

func (k fixedKeychain) Resolve(authn.Resource) (authn.Authenticator, error) {
	return k.Authenticator, nil
}

// go-containerregistry alone fails every such upload.
func TestTokenExpiresDuringUpload(t *testing.T) {
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{
		Auth: testenv.AuthToken,
		Wrap: func(next http.Handler) http.Handler {
			var uploads sync.Map
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if _, again := uploads.LoadOrStore(req.URL.Path, true); strings.Contains(req.URL.Path, "/blobs/uploads/") && req.Method == http.MethodPut && !again {
					_, _ = io.Copy(io.Discard, req.Body)
					req.Header.Del("Authorization") // the registry answers as to an expired one
				}
				next.ServeHTTP(w, req)
			})
		},
	})
	pushed := push(t, loaded(t), registry.Options{Keychain: reg.Keychain()}, reg.Host+"/app:1")
	pull(t, pushed[0].Reference, reg)
	refused := 0
	for _, req := range reg.Requests() {
		if req.Method == http.MethodPut && req.Status == http.StatusUnauthorized {
			refused++
		}
	}
	if refused != 3 {
		t.Errorf("%d uploads were refused, want 2 layers and the config", refused)
	}
}

func TestPassingFaults(t *testing.T) {
	reset := func(w http.ResponseWriter, _ *http.Request) {
		if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
			c.Close()
		}
	}
	for name, wrap := range map[string]func(http.Handler) http.Handler{
		"500 on the blob":       fault("PUT", "/blobs/uploads/", times(1, answering(500, `{"errors":[{"code":"INTERNAL_ERROR"}]}`))),
		"503 on the first ping": fault("GET", "/v2/", times(1, answering(503, ""))),
		"429 on HEAD":           fault("HEAD", "/manifests/", times(1, answering(429, ""))),
		"upload forgotten":      fault("PUT", "/blobs/uploads/", times(1, answering(404, `{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}`))),
		"closed on the blob":    fault("PUT", "/blobs/uploads/", times(1, reset)),
		"closed on a tag":       fault("PUT", "/manifests/1", times(1, reset)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reg := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: wrap})
			pull(t, push(t, loaded(t), registry.Options{}, reg.Host+"/app:1")[0].Reference, reg)
		})
	}
}

func TestLastingFaultsAreNotRepeated(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"disk full": answering(500, `{"errors":[{"code":"UNKNOWN","message":"write: no space left on device"}]}`),
		"507":       answering(507, ""),
		"too large": answering(413, ""),
		"denied":    answering(403, `{"errors":[{"code":"DENIED"}]}`),
	} {
		onRegistries(t, fault("PUT", "/blobs/uploads/", always(answer)), func(t *testing.T, reg *testenv.Registry) {
			if err := newPush(t, registry.Options{Jobs: 1}, reg.Host+"/app:1").Upload(t.Context(), loaded(t)); err == nil {
				t.Errorf("%s: Upload succeeded", name)
			}
			for digest, n := range uploadsOf(reg) {
				if n > 1 {
					t.Errorf("%s: %d uploads of %s were tried, want 1", name, n, digest)
				}
			}
		})
	}
}

// uploadsOf counts the uploads of each blob.
func uploadsOf(reg *testenv.Registry) map[string]int {
	count := map[string]int{}
	for _, req := range reg.Requests() {
		if query, err := url.ParseQuery(req.Query); err == nil && req.Method == http.MethodPut && query.Has("digest") {
			count[query.Get("digest")]++
		}
	}
	return count
}

// A daemon that comes back is read again.
func TestDaemonLostDuringUpload(t *testing.T) {
	var streams atomic.Int64
	d := startDaemon(t, breaking(status.Error(codes.Unavailable, "transport is closing"), func() bool {
		n := streams.Add(1)
		return n == 3 || n == 4 // after manifest and config
	}))
	a := d.load(t, d.add(t, testenv.RandomImage(t, 2, 3<<20)), registry.LoadOptions{})
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
	pull(t, push(t, a, registry.Options{}, reg.Host+"/app:1")[0].Reference, reg)
	if n := streams.Load(); n != 6 {
		t.Errorf("%d blobs were opened, want 2 and each layer twice", n)
	}
}

// No tag moves anywhere if one registry does not take the manifest.
func TestRefusedManifestMovesNoTag(t *testing.T) {
	a := loaded(t)
	good := testenv.StartRegistry(t, testenv.RegistryOptions{})
	bad := testenv.StartRegistry(t, testenv.RegistryOptions{
		Wrap: fault("PUT", "/manifests/sha256:", always(answering(403, `{"errors":[{"code":"DENIED","message":"quota"}]}`))),
	})
	pushed, err := newPush(t, registry.Options{}, good.Host+"/app:1", bad.Host+"/app:1").Commit(t.Context(), a)
	var partial *registry.PartialError
	if err == nil || errors.As(err, &partial) || len(pushed) != 0 {
		t.Errorf("Commit = %v, %v, want a plain error", pushed, err)
	}
	if got := names(t, good.Host+"/app:1"); got != "" {
		t.Errorf("tag on the other registry names %s, want nothing", got)
	}
}

func TestPartialError(t *testing.T) {
	a := loaded(t)
	good := testenv.StartRegistry(t, testenv.RegistryOptions{})
	bad := testenv.StartRegistry(t, testenv.RegistryOptions{
		Wrap: fault("PUT", "/manifests/1", always(answering(403, `{"errors":[{"code":"DENIED","message":"tags are immutable"}]}`))),
	})
	pushed, err := newPush(t, registry.Options{}, good.Host+"/app:1", bad.Host+"/app:1").Commit(t.Context(), a)
	var partial *registry.PartialError
	if !errors.As(err, &partial) {
		t.Fatalf("Commit = %v, %v, want a PartialError", pushed, err)
	}
	if len(partial.Moved) != 1 || partial.Moved[0].Reference.Name() != good.Host+"/app:1" {
		t.Errorf("moved = %v, want the tag of %s", partial.Moved, good.Host)
	}
	if len(partial.Failed) != 1 || partial.Failed[0].Reference.Name() != bad.Host+"/app:1" {
		t.Errorf("failed = %v, want the tag of %s", partial.Failed, bad.Host)
	}
	var cause *registry.Error
	if !errors.As(err, &cause) || cause.Kind != registry.KindDenied {
		t.Errorf("cause of %v = %+v, want KindDenied", err, cause)
	}
	for _, part := range []string{good.Host + "/app:1", bad.Host + "/app:1", "tags are immutable"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
}

// Failing where nothing has moved is not partial.
func TestFailedTagAlone(t *testing.T) {
	bad := testenv.StartRegistry(t, testenv.RegistryOptions{
		Wrap: fault("PUT", "/manifests/1", always(answering(403, ""))),
	})
	_, err := newPush(t, registry.Options{}, bad.Host+"/app:1").Commit(t.Context(), loaded(t))
	var partial *registry.PartialError
	if err == nil || errors.As(err, &partial) || !strings.Contains(err.Error(), bad.Host+"/app:1") {
		t.Errorf("Commit = %v, want a plain error that names the tag", err)
	}
}

// A registry may say that it took the manifest when the tag still names
// another.
func TestTagThatDoesNotMove(t *testing.T) {
	old, now := loaded(t), loaded(t)
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{
		Wrap: fault("PUT", "/manifests/1", func() func(http.ResponseWriter, *http.Request) bool {
			var puts atomic.Int64
			return func(w http.ResponseWriter, _ *http.Request) bool {
				if puts.Add(1) == 1 {
					return false
				}
				w.WriteHeader(http.StatusCreated)
				return true
			}
		}()),
	})
	push(t, old, registry.Options{}, reg.Host+"/app:1")
	_, err := newPush(t, registry.Options{}, reg.Host+"/app:1").Commit(t.Context(), now)
	if want := must(old.Digest())(t).String(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Commit = %v, want an error that says the tag names %s", err, want)
	}
}

func TestCancelledUpload(t *testing.T) {
	reached := make(chan struct{}, 16)
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{
		Wrap: fault("PUT", "/blobs/uploads/", always(func(_ http.ResponseWriter, req *http.Request) {
			reached <- struct{}{}
			_, _ = io.Copy(io.Discard, req.Body)
			<-req.Context().Done() // hangs until the client has gone
		})),
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	p, a := newPush(t, registry.Options{}, reg.Host+"/app:1"), loaded(t)
	go func() { done <- p.Upload(ctx, a) }()
	<-reached
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Upload with a cancelled context = %v, want context.Canceled", err)
	}
}

// Cancelling while tags are written tells which have moved.
func TestCancelledCommit(t *testing.T) {
	reached := make(chan struct{}, 1)
	hanging := testenv.StartRegistry(t, testenv.RegistryOptions{
		Wrap: fault("PUT", "/manifests/1", times(1, func(_ http.ResponseWriter, req *http.Request) {
			_, _ = io.Copy(io.Discard, req.Body)
			reached <- struct{}{}
			<-req.Context().Done()
		})),
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	p, a := newPush(t, registry.Options{}, hanging.Host+"/app:1"), loaded(t)
	go func() {
		_, err := p.Commit(ctx, a)
		done <- err
	}()
	<-reached
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Commit with a cancelled context = %v, want context.Canceled", err)
	}
	if got := names(t, hanging.Host+"/app:1"); got != "" {
		t.Errorf("tag names %s, want nothing", got)
	}
}

// A tag that moved although the answer was lost counts as moved.
func TestTagMovedWithoutAnswer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{
		Wrap: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if req.Method == http.MethodPut && strings.HasSuffix(req.URL.Path, "/manifests/1") {
					next.ServeHTTP(discardAnswer{}, req.WithContext(context.WithoutCancel(req.Context())))
					cancel()
					<-req.Context().Done()
					return
				}
				next.ServeHTTP(w, req)
			})
		},
	})
	pushed, err := newPush(t, registry.Options{}, reg.Host+"/app:1").Commit(ctx, loaded(t))
	if err != nil || len(pushed) != 1 || !pushed[0].Moved {
		t.Errorf("Commit = %v, %v, want the tag moved", pushed, err)
	}
}

type discardAnswer struct{}

func (discardAnswer) Header() http.Header         { return http.Header{} }
func (discardAnswer) Write(p []byte) (int, error) { return len(p), nil }
func (discardAnswer) WriteHeader(int)             {}

// A token server may refuse all scopes because of one.
func TestMountScopeRefusesToken(t *testing.T) {
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{
		Auth: testenv.AuthToken,
		Wrap: fault("GET", testenv.TokenPath, func(w http.ResponseWriter, req *http.Request) bool {
			if !strings.Contains(req.URL.RawQuery, "library") || !strings.Contains(req.URL.RawQuery, "app") {
				return false
			}
			w.WriteHeader(http.StatusForbidden)
			return true
		}),
	})
	base, from := pushedBase(t, reg)
	d := startDaemon(t)
	desc := d.add(t, onTop(t, base))
	d.addManifest(t, base)
	from.Digest = must(v1.NewHash(must(base.Digest())(t).String()))(t)
	a := d.load(t, desc, registry.LoadOptions{Bases: []registry.Base{from}, Keychain: reg.Keychain()})
	pull(t, push(t, a, registry.Options{Keychain: reg.Keychain()}, reg.Host+"/app:1")[0].Reference, reg)
}
