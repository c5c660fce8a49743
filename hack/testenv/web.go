package testenv

import (
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"net/http/httputil"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// ServeFiles serves the files below dir, which may come later, by HTTP on loopback,
// and returns the URL.
func ServeFiles(t testing.TB, dir string) string {
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	return server.URL
}

// ServeGit serves the git repositories below dir, which may come later, by HTTP on
// loopback, and returns the URL.
func ServeGit(t testing.TB, dir string) string {
	t.Helper()
	path, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatalf("looking for git: %v", err)
	}
	server := httptest.NewServer(&cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"),
		Env: []string{
			"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1",
			// Whoever the repositories belong to.
			"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
		},
	})
	t.Cleanup(server.Close)
	return server.URL
}

// StartProxy is an HTTP proxy that takes every host for the one at address, and refuses
// what is to be encrypted.
func StartProxy(t testing.TB, address string) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodConnect {
			http.Error(w, "there is no HTTPS", http.StatusBadGateway)
			return
		}
		proxy := httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.Out.URL.Host = address }}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}
