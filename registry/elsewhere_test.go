package registry_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// elsewhere records what comes to another server.
type elsewhere struct {
	mu    sync.Mutex
	seen  []string
	heads []http.Header
}

func (e *elsewhere) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	_, _ = io.Copy(io.Discard, req.Body)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen, e.heads = append(e.seen, req.Method+" "+req.URL.Path), append(e.heads, req.Header)
	w.WriteHeader(http.StatusCreated)
}

// Where a registry sends us gets the layer, if it wants, but no credentials.
func TestLocationElsewhereGetsNoCredentials(t *testing.T) {
	for _, auth := range []testenv.Auth{testenv.AuthBasic, testenv.AuthToken} {
		other := &elsewhere{}
		lis := must(net.Listen("tcp", "127.0.0.1:0"))(t)
		server := &http.Server{Handler: other, ReadHeaderTimeout: time.Minute}
		go func() { _ = server.Serve(lis) }()
		t.Cleanup(func() { server.Close() })
		for _, how := range []string{"Location", "redirect"} {
			reg := testenv.StartRegistry(t, testenv.RegistryOptions{Auth: auth, Wrap: fault("POST", "/blobs/uploads/", func(w http.ResponseWriter, req *http.Request) bool {
				if req.Header.Get("Authorization") == "" {
					return false
				}
				w.Header().Set("Location", "http://"+lis.Addr().String()+"/"+how)
				w.WriteHeader(map[string]int{"Location": http.StatusAccepted, "redirect": http.StatusTemporaryRedirect}[how])
				return true
			})})
			// Nothing is there in the end, which the manifest tells; here it is
			// about who was told what.
			_, err := newPush(t, registry.Options{Keychain: reg.Keychain(), Attempts: 1}, reg.Host+"/app:1").Commit(t.Context(), loaded(t))
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("Commit = %v, which tells the password", err)
			}
		}
		other.mu.Lock()
		if len(other.seen) == 0 {
			t.Errorf("authentication %d: nothing was sent elsewhere; the test tests nothing", auth)
		}
		for i, h := range other.heads {
			if h.Get("Authorization") != "" {
				t.Errorf("authentication %d: %s came with credentials", auth, other.seen[i])
			}
		}
		other.mu.Unlock()
	}
}

// A registry over TLS that would have us go on, or fetch a token, without.
func TestNoDowngrade(t *testing.T) {
	other := &elsewhere{}
	lis := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	server := &http.Server{Handler: other, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(lis) }()
	t.Cleanup(func() { server.Close() })
	plain := "http://" + lis.Addr().String()
	send := func(status int, header, value string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(header, value)
			w.WriteHeader(status)
		}
	}
	for name, wrap := range map[string]func(http.Handler) http.Handler{
		"location":          fault("POST", "/blobs/uploads/", always(send(http.StatusAccepted, "Location", plain+"/upload"))),
		"redirected upload": fault("POST", "/blobs/uploads/", always(send(http.StatusTemporaryRedirect, "Location", plain+"/v2/"))),
		"redirected tag":    fault("PUT", "/manifests/", always(send(http.StatusTemporaryRedirect, "Location", plain+"/v2/"))),
		"realm":             fault("GET", "/v2/", always(send(http.StatusUnauthorized, "WWW-Authenticate", `Bearer realm="`+plain+`/token",service="x"`))),
	} {
		reg := testenv.StartRegistry(t, testenv.RegistryOptions{TLS: true, Wrap: wrap})
		opt := registry.Options{
			Keychain:  fixedKeychain{&authn.Basic{Username: "captain", Password: "s3cret"}},
			Transport: reg.Transport(registry.Transport()), Attempts: 1,
		}
		if _, err := newPush(t, opt, reg.Host+"/app:1").Commit(t.Context(), loaded(t)); err == nil {
			t.Errorf("%s: Commit succeeded", name)
		}
	}
	if len(other.seen) > 0 {
		t.Errorf("the other server got %v, want nothing", other.seen)
	}
}
