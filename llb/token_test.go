package llb

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/docker/cli/cli/config/types"
	"github.com/moby/buildkit/session/auth"
	"github.com/moby/buildkit/session/auth/authprovider"
)

// tokenServer gives a token to whoever has the password, and notes that it saw it.
type tokenServer struct {
	*httptest.Server
	seen bool
}

func startTokenServer(t *testing.T) *tokenServer {
	s := &tokenServer{}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.seen = s.seen || r.PostFormValue("password") == "s3cret"
		_, _ = w.Write([]byte(`{"access_token":"a token","expires_in":60}`))
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *tokenServer) host() string { return strings.TrimPrefix(s.URL, "https://") }

// The daemon says where a registry's tokens are to be had, but not to whom the
// password goes.
func TestTokenServerIsTheRegistrys(t *testing.T) {
	right, wrong := startTokenServer(t), startTokenServer(t)
	reg := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="`+right.URL+`/token",service="test"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(reg.Close)
	b := newBases()
	host := strings.TrimPrefix(reg.URL, "https://")
	b.announce(host + "/team/base:1")
	p := newPullAuth(Options{
		PullCredentials: func(context.Context, string, []string, authprovider.ExpireCachedAuthCheck) (types.AuthConfig, error) {
			return types.AuthConfig{Username: "captain", Password: "s3cret"}, nil
		},
		// All of these servers have the same certificate.
		TokenTransport: func(string) http.RoundTripper { return reg.Client().Transport },
	}, b)
	ask := func(realm string) error {
		_, err := p.FetchToken(t.Context(), &auth.FetchTokenRequest{Host: host, Realm: realm, Service: "test", Scopes: []string{"repository:team/base:pull"}})
		return err
	}
	if err := ask(right.URL + "/token"); err != nil || !right.seen {
		t.Errorf("FetchToken from the registry's token server: %v, asked: %v", err, right.seen)
	}
	if err := ask(wrong.URL + "/token"); err == nil || wrong.seen || !strings.Contains(err.Error(), wrong.host()) {
		t.Errorf("FetchToken from another server: %v, it saw the password: %v", err, wrong.seen)
	}
}

// Credentials for a repository serve a registry without tokens, which BuildKit asks as
// a whole.
func TestCredentialsOfARepository(t *testing.T) {
	b := newBases()
	b.announce("base.example.com/other/base:1")
	b.announce("base.example.com/team/base:1")
	p := newPullAuth(Options{PullCredentials: func(_ context.Context, _ string, scopes []string, _ authprovider.ExpireCachedAuthCheck) (types.AuthConfig, error) {
		if len(scopes) == 1 && scopes[0] == "repository:team/base:pull" {
			return types.AuthConfig{Username: "captain", Password: "s3cret"}, nil
		}
		return types.AuthConfig{}, nil
	}}, b)
	resp, err := p.Credentials(t.Context(), &auth.CredentialsRequest{Host: "base.example.com"})
	if err != nil || resp.Secret != "s3cret" {
		t.Errorf("Credentials = %v, %v", resp, err)
	}
}
