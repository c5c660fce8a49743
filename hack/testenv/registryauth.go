package testenv

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd" // AuthBasic
	_ "github.com/distribution/distribution/v3/registry/auth/token"    // AuthToken
	"golang.org/x/crypto/bcrypt"
)

// TokenPath is where AuthToken gives tokens. It is on the registry's own host:
// clients refuse token servers on other loopback addresses.
const TokenPath = "/testenv/token"

const (
	tokenIssuer  = "testenv"
	tokenService = "registry"
	tokenKeyID   = "testenv-key"
)

func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }

// configureAuth writes the files that the registry reads its users and keys
// from.
func (r *Registry) configureAuth(t testing.TB, config *configuration.Configuration, dir string) {
	t.Helper()
	switch r.opt.Auth {
	case AuthBasic:
		hash, err := bcrypt.GenerateFromPassword([]byte(r.opt.Password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "htpasswd")
		writeFile(t, file, r.opt.User+":"+string(hash)+"\n")
		config.Auth = configuration.Auth{"htpasswd": {"realm": "testenv", "path": file}}
	case AuthToken:
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		r.key = private
		file := filepath.Join(dir, "jwks.json")
		writeFile(t, file, fmt.Sprintf(`{"keys":[{"kty":"OKP","crv":"Ed25519","use":"sig","alg":"EdDSA","kid":%q,"x":%q}]}`, tokenKeyID, encode(public)))
		scheme := "http"
		if r.opt.TLS {
			scheme = "https"
		}
		config.Auth = configuration.Auth{"token": {
			"realm":   scheme + "://" + r.Host + TokenPath,
			"issuer":  tokenIssuer,
			"service": tokenService,
			"jwks":    file,
		}}
	}
}

func writeFile(t testing.TB, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Scopes returns the scopes that tokens were asked for so far.
func (r *Registry) Scopes() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.scopes...)
}

// access is what a token allows, in the registry's JSON.
type access struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

// tokenServer gives tokens as the distribution project specifies them: to a GET
// with basic authentication, or to an OAuth2 POST.
func (r *Registry) tokenServer(t testing.TB) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		user, password, ok := req.BasicAuth()
		if req.Method == http.MethodPost {
			user, password, ok = req.PostFormValue("username"), req.PostFormValue("password"), true
		}
		if ok && (user != r.opt.User || password != r.opt.Password) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprintln(w, `{"errors":[{"code":"UNAUTHORIZED","message":"incorrect username or password"}]}`)
			return
		}
		var allowed []access
		may := func(action string) bool { return ok || r.opt.AnonymousPull && action == "pull" }
		for _, scope := range splitScopes(append(req.URL.Query()["scope"], req.PostForm["scope"]...)) {
			r.mu.Lock()
			r.scopes = append(r.scopes, scope)
			r.mu.Unlock()
			if a, ok := r.allow(scope, may); ok {
				allowed = append(allowed, a)
			}
		}
		token, err := r.sign(allowed)
		if err != nil {
			t.Errorf("signing token: %v", err)
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"token": token, "access_token": token, "expires_in": 300})
	})
}

func splitScopes(params []string) []string {
	var scopes []string
	for _, param := range params {
		scopes = append(scopes, strings.Fields(param)...)
	}
	return scopes
}

// allow says what of "repository:name:pull,push" may be granted.
func (r *Registry) allow(scope string, may func(action string) bool) (access, bool) {
	kind, rest, _ := strings.Cut(scope, ":")
	i := strings.LastIndex(rest, ":")
	if i < 0 {
		return access{}, false
	}
	a := access{Type: kind, Name: rest[:i]}
	for _, action := range strings.Split(rest[i+1:], ",") {
		denied := r.opt.Deny != nil && r.opt.Deny(kind+":"+a.Name+":"+action)
		if !denied && may(action) && !slices.Contains(a.Actions, action) {
			a.Actions = append(a.Actions, action)
		}
	}
	return a, len(a.Actions) > 0
}

// sign makes a JSON web token.
func (r *Registry) sign(allowed []access) (string, error) {
	now := time.Now()
	header, err := json.Marshal(map[string]any{"alg": "EdDSA", "typ": "JWT", "kid": tokenKeyID})
	if err != nil {
		return "", err
	}
	claims, err := json.Marshal(map[string]any{
		"iss": tokenIssuer, "sub": r.opt.User, "aud": []string{tokenService}, "jti": rand.Text(),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"access": allowed,
	})
	if err != nil {
		return "", err
	}
	text := encode(header) + "." + encode(claims)
	return text + "." + encode(ed25519.Sign(r.key, []byte(text))), nil
}
