package registry_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// apart is a registry whose tokens are elsewhere, and the server that has them there.
type apart struct {
	*testenv.Registry
	tokens *httptest.Server
}

// startApart starts both, over the scheme; at is where the registry says that the tokens
// are, given where they are, and answer may answer in place of the token server.
func startApart(t *testing.T, scheme string, at func(tokens string) string, answer http.HandlerFunc) apart {
	t.Helper()
	tokens := httptest.NewUnstartedServer(nil)
	realm := at(scheme + "://" + tokens.Listener.Addr().String())
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{TLS: scheme == "https", Auth: testenv.AuthToken, Wrap: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			next.ServeHTTP(headerOf{w, func(h http.Header) {
				own := scheme + "://" + req.Host + testenv.TokenPath
				h.Set("WWW-Authenticate", strings.Replace(h.Get("WWW-Authenticate"), own, realm, 1))
			}}, req)
		})
	}})
	own := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: scheme, Host: reg.Host})
	own.Transport = reg.Transport(nil)
	tokens.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if answer != nil && req.URL.Path != testenv.TokenPath {
			answer(w, req)
			return
		}
		own.ServeHTTP(w, req)
	})
	if scheme == "https" {
		tokens.StartTLS() // with the same certificate
	} else {
		tokens.Start()
	}
	t.Cleanup(tokens.Close)
	return apart{reg, tokens}
}

// headerOf changes the header of a refusal.
type headerOf struct {
	http.ResponseWriter
	change func(http.Header)
}

func (h headerOf) WriteHeader(status int) {
	if status == http.StatusUnauthorized {
		h.change(h.Header())
	}
	h.ResponseWriter.WriteHeader(status)
}

func schemeOf(r *http.Request) string {
	if r.TLS != nil {
		return "https://"
	}
	return "http://"
}

// pushApart is the error of a push.
func pushApart(t *testing.T, a apart) error {
	t.Helper()
	var hosts registry.HostOptions
	if a.CAFile != "" {
		hosts.CertDirs = []string{certDir(t, a.Host, map[string]string{"ca.crt": read(t, a.CAFile)})}
	}
	opt := registry.Options{Keychain: a.Keychain(), Attempts: 1, Transport: must(registry.NewHosts(hosts))(t)}
	_, err := newPush(t, opt, a.Host+"/app:1").Commit(t.Context(), loaded(t))
	return err
}

// GitLab by its private address has its registry at one port and its tokens at another.
func TestTokensAtAnotherPort(t *testing.T) {
	there := func(tokens string) string { return tokens + testenv.TokenPath }
	elsewhere := func(tokens string) string { return tokens + "/jwt/auth?of=registry" }
	sent := func(to func(*http.Request) string) http.HandlerFunc {
		return func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Location", to(req)+"?"+req.URL.RawQuery)
			w.WriteHeader(http.StatusTemporaryRedirect)
		}
	}
	for name, test := range map[string]struct {
		at     func(string) string
		answer http.HandlerFunc
	}{
		"there":                      {there, nil},
		"redirected":                 {elsewhere, sent(func(*http.Request) string { return testenv.TokenPath })},
		"redirected, by its address": {elsewhere, sent(func(r *http.Request) string { return schemeOf(r) + r.Host + testenv.TokenPath })},
	} {
		for _, scheme := range []string{"http", "https"} {
			if err := pushApart(t, startApart(t, scheme, test.at, test.answer)); err != nil {
				t.Errorf("%s, over %s: Commit = %v, want nil", name, scheme, err)
			}
		}
	}
}

// Nobody gets to have us ask around in a private network.
func TestTokensAtAnotherPrivateAddress(t *testing.T) {
	foreign := func(tokens string) string { return strings.Replace(tokens, "127.0.0.1", "127.0.0.2", 1) + "/token" }
	redirect := func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Location", foreign("http://"+req.Host))
		w.WriteHeader(http.StatusTemporaryRedirect)
	}
	for name, a := range map[string]apart{
		"named":      startApart(t, "http", foreign, nil),
		"redirected": startApart(t, "http", func(tokens string) string { return tokens + "/jwt/auth" }, redirect),
	} {
		if err := pushApart(t, a); err == nil || !strings.Contains(err.Error(), `"127.0.0.2" is a private`) {
			t.Errorf("%s: Commit = %v, want that the address is refused", name, err)
		}
	}
}

// Errors are about the server that there is.
func TestTokensRefusedAtAnotherPort(t *testing.T) {
	jwt := func(tokens string) string { return tokens + "/jwt/auth" }
	quoting := func(w http.ResponseWriter, req *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, password, _ := req.BasicAuth()
		_, _ = w.Write([]byte(`{"errors":[{"code":"DENIED","message":"not ` + password + ` at ` + req.Host + `"}]}`))
	}
	a := startApart(t, "http", jwt, quoting)
	host := strings.TrimPrefix(a.tokens.URL, "http://")
	err := pushApart(t, a)
	if err == nil || !strings.Contains(err.Error(), "DENIED: not *** at "+host) {
		t.Errorf("Commit = %v, want a refusal by %s", err, host)
	}
	a.tokens.Close()
	if err := pushApart(t, a); err == nil || !strings.Contains(err.Error(), a.tokens.URL+"/jwt/auth") {
		t.Errorf("Commit = %v, want an error that names %s", err, a.tokens.URL)
	}
}

// A token server that sends on and refuses is not the storage of blobs.
func TestTokensRefusedAfterRedirect(t *testing.T) {
	a := startApart(t, "http", func(tokens string) string { return tokens + "/jwt/auth" }, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/jwt/auth" {
			http.Redirect(w, req, "/jwt/auth/", http.StatusTemporaryRedirect)
			return
		}
		w.WriteHeader(http.StatusForbidden)
	})
	var e *registry.Error
	if err := pushApart(t, a); !errors.As(err, &e) || e.Kind != registry.KindDenied || e.Storage != "" {
		t.Errorf("Commit = %v, of the kind %v, want that the credentials are refused", err, e)
	}
}
