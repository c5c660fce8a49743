package testenv

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // RegistryOptions.Dir
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory"   // the driver of StartRegistry
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/sirupsen/logrus"
)

// Auth is how a registry knows who may do what.
type Auth int

// The ways that RegistryOptions.Auth knows.
const (
	AuthNone  Auth = iota // everybody may do everything
	AuthBasic             // HTTP basic, for every request
	AuthToken             // bearer tokens for a scope, from the registry's own token server
)

// RegistryOptions are for StartRegistry. The zero value is a registry over
// plain HTTP that lets everybody do everything.
type RegistryOptions struct {
	TLS  bool // see Registry.CAFile and Registry.Transport
	Auth Auth

	// ClientCert is the file of a certificate (see the function) that
	// clients of a TLS registry must show. Default: they need none.
	ClientCert string

	// User and Password are the credentials for AuthBasic and AuthToken.
	// Default "captain" and "s3cret".
	User, Password string

	// AnonymousPull lets AuthToken give tokens for pulling to those without
	// credentials.
	AnonymousPull bool

	// Deny refuses scopes such as "repository:team/app:push" at the token
	// server, which then gives a token without them. Default nil.
	Deny func(scope string) bool

	// Dir is where the registry has its storage. Default: in memory.
	Dir string

	// Wrap puts a handler of the test in front of the registry and its token
	// server, for faults. What it answers is recorded like the rest. Default
	// nil.
	Wrap func(http.Handler) http.Handler
}

// Registry is a registry on the loopback interface.
type Registry struct {
	Host   string // "127.0.0.1:port", as references begin
	CAFile string // PEM file with the certificate of a TLS registry, else ""
	Dir    string // where it has its storage, "" for in memory

	opt     RegistryOptions
	key     ed25519.PrivateKey // of the token server
	server  *httptest.Server   // nil for an external one
	roots   *x509.CertPool
	close   func()
	mu      sync.Mutex
	seen    []Request
	scopes  []string
	closing sync.Once
}

// Request is a request that a registry has answered.
type Request struct {
	Method string
	Path   string
	Query  string
	Status int
	Proto  string // "HTTP/1.1" or "HTTP/2.0"
}

func (r Request) String() string {
	if r.Query != "" {
		return r.Method + " " + r.Path + "?" + r.Query
	}
	return r.Method + " " + r.Path
}

// StartRegistry starts the distribution project's registry in this process,
// with its storage in memory if the options name no directory, until the test ends.
//
// References to it need nothing special: go-containerregistry tries https and
// then http on the loopback interface. A TLS registry has a certificate of its
// own, which clients must be told to trust.
func StartRegistry(t testing.TB, opt RegistryOptions) *Registry {
	t.Helper()
	if opt.User == "" {
		opt.User, opt.Password = "captain", "s3cret"
	}
	dir := t.TempDir()
	r := &Registry{opt: opt, Dir: opt.Dir}
	r.server = httptest.NewUnstartedServer(nil)
	r.Host = r.server.Listener.Addr().String()
	config := &configuration.Configuration{
		Storage: configuration.Storage{
			"inmemory":    configuration.Parameters{},
			"delete":      configuration.Parameters{"enabled": true},
			"maintenance": configuration.Parameters{"uploadpurging": map[any]any{"enabled": false}},
		},
	}
	if opt.Dir != "" {
		delete(config.Storage, "inmemory")
		config.Storage["filesystem"] = configuration.Parameters{"rootdirectory": opt.Dir}
	}
	config.Log.AccessLog.Disabled = true
	config.Log.Level = "panic"
	config.Catalog.MaxEntries = 1000
	config.HTTP.Secret = "not secret"
	r.configureAuth(t, config, dir)
	// The registry logs each refused request to the standard logger, whatever
	// its configuration says.
	logrus.SetOutput(io.Discard)
	app := handlers.NewApp(context.Background(), config)
	r.server.Config.Handler = r.record(r.handler(t, app))
	r.server.Config.ErrorLog = discardLog()
	r.close = func() {
		r.server.CloseClientConnections()
		r.server.Close()
		if err := app.Shutdown(); err != nil {
			t.Errorf("stopping registry: %v", err)
		}
	}
	if !opt.TLS {
		r.server.Start()
	} else {
		r.startTLS(t, dir)
	}
	t.Cleanup(r.Close)
	return r
}

func (r *Registry) startTLS(t testing.TB, dir string) {
	r.server.EnableHTTP2 = true // so that a client which must not use it can be caught
	if r.opt.ClientCert != "" {
		content, err := os.ReadFile(r.opt.ClientCert)
		if err != nil {
			t.Fatal(err)
		}
		known := x509.NewCertPool()
		known.AppendCertsFromPEM(content)
		r.server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: known}
	}
	r.server.StartTLS()
	cert := r.server.Certificate()
	r.CAFile = filepath.Join(dir, "ca.pem")
	pemBytes := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	if err := os.WriteFile(r.CAFile, pemBytes, 0o644); err != nil {
		t.Fatal(err)
	}
	r.roots = x509.NewCertPool()
	r.roots.AddCert(cert)
}

// handler is what answers: the test's faults, the token server, the registry.
func (r *Registry) handler(t testing.TB, app http.Handler) http.Handler {
	if r.opt.Auth == AuthToken {
		mux := http.NewServeMux()
		mux.Handle("/", app)
		mux.Handle(TokenPath, r.tokenServer(t))
		app = mux
	}
	if r.opt.Wrap != nil {
		app = r.opt.Wrap(app)
	}
	return app
}

// Close stops the registry, which the end of the test does too.
func (r *Registry) Close() { r.closing.Do(r.close) }

// Transport trusts the certificate of a TLS registry. It is based on base,
// which must be an *http.Transport; nil is one with net/http's defaults.
func (r *Registry) Transport(base http.RoundTripper) http.RoundTripper {
	plain, ok := base.(*http.Transport)
	if !ok {
		return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: r.roots}, ForceAttemptHTTP2: true}
	}
	plain = plain.Clone()
	if plain.TLSClientConfig == nil {
		plain.TLSClientConfig = &tls.Config{}
	}
	plain.TLSClientConfig.RootCAs = r.roots
	return plain
}

// Keychain has the registry's credentials, for this registry only.
func (r *Registry) Keychain() authn.Keychain { return keychain{r} }

type keychain struct{ r *Registry }

func (k keychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	if k.r.opt.Auth == AuthNone || target.RegistryStr() != k.r.Host {
		return authn.Anonymous, nil
	}
	return &authn.Basic{Username: k.r.opt.User, Password: k.r.opt.Password}, nil
}

// Requests returns what was asked so far, in the order of the answers, without
// those for tokens.
func (r *Registry) Requests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Request(nil), r.seen...)
}

// Count returns how many requests of a method had a path that contains part.
func (r *Registry) Count(method, part string) int {
	n := 0
	for _, req := range r.Requests() {
		if req.Method == method && strings.Contains(req.Path, part) {
			n++
		}
	}
	return n
}

// Forget empties Requests and Scopes.
func (r *Registry) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen, r.scopes = nil, nil
}

func (r *Registry) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		seen := Request{Method: req.Method, Path: req.URL.Path, Query: req.URL.RawQuery, Proto: req.Proto}
		sw := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			seen.Status = sw.status
			if req.URL.Path != TokenPath {
				r.mu.Lock()
				r.seen = append(r.seen, seen)
				r.mu.Unlock()
			}
		}()
		next.ServeHTTP(sw, req)
	})
}

// statusWriter notes the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection, for faults.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
