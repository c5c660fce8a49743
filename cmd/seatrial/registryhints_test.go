package main

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// What a registry says that misses a client certificate is often lost on the way, so
// no real one is asked.
func TestHintOfClientCertificate(t *testing.T) {
	alert := &net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")}
	got := strings.Join(hints(&pushError{&registry.Error{Op: "connecting", Registry: "registry.example.com", Err: alert}}), "\n")
	if want := "registry.example.com/client.cert"; !strings.Contains(got, want) {
		t.Errorf("hints = %q, want %q", got, want)
	}
}

// A reference that names no registry is taken to Docker Hub, which one who only forgot the
// host does not expect. Docker Hub itself is not asked.
func TestHintOfDockerHub(t *testing.T) {
	for _, reg := range []string{name.DefaultRegistry, "registry.example.com"} {
		for _, e := range []*registry.Error{{Kind: registry.KindUnreachable}, {Kind: registry.KindDenied, Anonymous: true}} {
			e.Registry, e.Err = reg, errors.New("no")
			for _, err := range []error{&pushError{e}, &readError{e}} {
				got := strings.Join(hints(err), "\n")
				if said := strings.Contains(got, "is one on Docker Hub"); said != (reg == name.DefaultRegistry) {
					t.Errorf("hints of %v at %s = %q", e.Kind, reg, got)
				}
			}
		}
	}
}

// A token server at a private address that is not the registry's is not asked, which is
// no fault of a user's, but of the registry's configuration.
func TestHintOfTokensElsewhere(t *testing.T) {
	dir, _ := savedImage(t)
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="https://10.0.0.5/jwt/auth",service="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
		})
	}})
	c := start(t, nil, "push", "--untested", dir, "-t", reg.Host+"/acme/app:1")
	c.exits(6)
	c.says(`"10.0.0.5" is a private`, reg.Host+" gives its tokens at a private address that is not its own")
}

// A registry behind a proxy that takes HTTPS for it has to be told so.
func TestHintOfUploadOverHTTP(t *testing.T) {
	dir, _ := savedImage(t)
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{TLS: true, Wrap: func(inner http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.TLS = nil // as the registry sees it then
			inner.ServeHTTP(w, r)
		})
	}})
	c := start(t, nil, "push", "--untested", dir, "-t", reg.Host+"/acme/app:1", "--registry-ca", reg.CAFile)
	c.exits(6)
	c.says("from https to http", "X-Forwarded-Proto: https")
}
