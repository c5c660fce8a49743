package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seatrial/seatrial/hack/testenv"
)

// stranger is a server that a registry has no business to send us to. It keeps what is
// told to it.
type stranger struct {
	*httptest.Server
	mu    sync.Mutex
	heard []string
}

// startStranger listens at an address of the loopback interface.
func startStranger(t *testing.T, address string) *stranger {
	t.Helper()
	s := &stranger{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.heard = append(s.heard, fmt.Sprint(r.Method, " ", r.URL, " ", r.Header, " ", string(body)))
		s.mu.Unlock()
		refuse(w, http.StatusForbidden, "DENIED")
	}))
	lis, err := net.Listen("tcp", address+":0")
	if err != nil {
		t.Fatal(err)
	}
	s.Listener.Close()
	s.Listener = lis
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// take returns what was heard, and forgets it.
func (s *stranger) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	heard := s.heard
	s.heard = nil
	return heard
}

// TestElsewhereGetsNoCredentials has two kinds of registry that know us send us to another
// server with a layer, or for a token.
func TestElsewhereGetsNoCredentials(t *testing.T) {
	near, far := startStranger(t, "127.0.0.1"), startStranger(t, "127.0.0.2")
	for _, to := range []struct {
		name, header, value, path string
		status                    int
		listens                   *stranger // nil: nobody is to hear of us
		says                      string
	}{
		{"Location", "Location", near.URL + "/upload", "/blobs/uploads/", http.StatusAccepted, near, "at " + near.Listener.Addr().String()},
		{"redirect", "Location", near.URL + "/upload", "/blobs/uploads/", http.StatusTemporaryRedirect, near, "at " + near.Listener.Addr().String()},
		{"realm", "WWW-Authenticate", `Bearer realm="` + far.URL + `/token",service="registry"`, "/v2/", http.StatusUnauthorized, nil, "invalid realm"},
	} {
		t.Run(to.name, func(t *testing.T) {
			var open atomic.Bool // the registry would let everybody in
			wrap := func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					switch known := r.Header.Get("Authorization") != ""; {
					case strings.HasSuffix(r.URL.Path, to.path) && (known || to.listens == nil):
						w.Header().Set(to.header, to.value)
						w.WriteHeader(to.status)
					case !known && open.Load():
						w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
						w.WriteHeader(http.StatusUnauthorized)
					default:
						next.ServeHTTP(w, r)
					}
				})
			}
			eachRegistry(t, wrap, func(t *testing.T, reg *testenv.Registry, config string) {
				open.Store(strings.HasSuffix(t.Name(), "/debian"))
				dir, _ := savedImage(t)
				c := start(t, []string{config}, "push", "--untested", "--debug", dir, "-t", reg.Host+"/acme/app:1")
				c.exits(6)
				c.says(to.says, "no tag moved")
				heard := append(near.take(), far.take()...)
				if (len(heard) > 0) != (to.listens != nil) {
					t.Errorf("the other server heard %v", heard)
				}
				all := fmt.Sprint(heard, c.out.String(), c.stderr())
				if strings.Contains(all, "Authorization") || strings.Contains(all, registryPassword) || strings.Contains(all, "eyJ") {
					t.Errorf("a password or token is told:\n%s", all)
				}
			})
		})
	}
}

// TestElsewhereIsNotWithoutTLS has a registry over TLS send us on to a server without.
func TestElsewhereIsNotWithoutTLS(t *testing.T) {
	near := startStranger(t, "127.0.0.1")
	for _, to := range []struct {
		method, part, header, value string
		status                      int
	}{
		{"POST", "/blobs/uploads/", "Location", near.URL + "/upload", http.StatusAccepted},
		{"POST", "/blobs/uploads/", "Location", near.URL + "/upload", http.StatusTemporaryRedirect},
		{"PUT", "/manifests/", "Location", near.URL + "/manifest", http.StatusTemporaryRedirect},
		{"GET", "/v2/", "WWW-Authenticate", `Bearer realm="` + near.URL + `/token",service="registry"`, http.StatusUnauthorized},
	} {
		reg := testenv.StartRegistry(t, testenv.RegistryOptions{TLS: true, Wrap: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != to.method || !strings.Contains(r.URL.Path, to.part) {
					next.ServeHTTP(w, r)
					return
				}
				w.Header().Set(to.header, to.value)
				w.WriteHeader(to.status)
			})
		}})
		dir, _ := savedImage(t)
		c := start(t, []string{login(t, reg.Host, "captain", registryPassword)}, "push", "--untested", dir, "-t", reg.Host+"/acme/app:1", "--registry-ca", reg.CAFile)
		c.exits(6)
		c.says("no tag moved")
		if heard := near.take(); len(heard) > 0 {
			t.Errorf("%s %s, %d: the server without TLS heard %v", to.method, to.part, to.status, heard)
		}
	}
}

// TestRefusalThatDrips has two kinds of registry refuse a layer, and give their reason a
// letter at a time, without end.
func TestRefusalThatDrips(t *testing.T) {
	wrap := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost {
				next.ServeHTTP(w, r)
				return
			}
			w.WriteHeader(http.StatusForbidden)
			for tick := time.NewTicker(100 * time.Millisecond); r.Context().Err() == nil; <-tick.C {
				_, _ = io.WriteString(w, "\x1b")
				_ = http.NewResponseController(w).Flush()
			}
		})
	}
	eachRegistry(t, wrap, func(t *testing.T, reg *testenv.Registry, config string) {
		t.Parallel() // it is waited for, for a while
		dir, _ := savedImage(t)
		c := start(t, []string{config}, "push", "--untested", dir, "-t", reg.Host+"/acme/app:1")
		c.exits(6)
		c.says("403 Forbidden", "no tag moved")
		if strings.Contains(c.stderr(), "\x1b") {
			t.Errorf("the output drives the terminal: %q", c.stderr())
		}
	})
}
