package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seatrial/seatrial/hack/testenv"
)

// TestHostThatIsNoRegistry pushes to what answers like a registry that has everything, and
// is none: a network that wants a login first, or some web server.
func TestHostThatIsNoRegistry(t *testing.T) {
	dir, _ := savedImage(t)
	page := func(contentType string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if w.Header()["Content-Type"] = nil; contentType != "" {
				w.Header().Set("Content-Type", contentType)
			}
			_, _ = io.WriteString(w, "<!DOCTYPE html><html>please log in</html>")
		}
	}
	login := httptest.NewServer(page("text/html"))
	t.Cleanup(login.Close)
	api := httptest.NewServer(page("application/json"))
	t.Cleanup(api.Close)
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		says   string
	}{
		"a page":                {page("text/html; charset=utf-8"), "a web page"},
		"a page without a type": {page(""), "a web page"},
		"sent to a login": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, login.URL+"/login?to=s3cret", http.StatusFound)
		}, "a web page (of " + strings.TrimPrefix(login.URL, "http://")},
		"login required": {replying(http.StatusNetworkAuthenticationRequired, "<html>please log in</html>"), "511 Network Authentication Required"},
		"no such page":   {http.NotFound, "404 Not Found"},
		"JSON":           {page("application/json"), "has it, it says, and shows something else"},
		"nothing":        {func(http.ResponseWriter, *http.Request) {}, "has it, it says, and shows something else"},
		"no content":     {replying(http.StatusNoContent, ""), "answered GET /v2/ with 204 No Content"},
		"an API that lacks what it is asked for": {func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				w.WriteHeader(http.StatusNotFound)
			}
		}, "answered POST /v2/acme/app/blobs/uploads/ with 200 OK"},
		"sent to JSON": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, api.URL+"/login?to=s3cret", http.StatusFound)
		}, strings.TrimPrefix(api.URL, "http://") + " has it, it says"},
		"an API that creates what it is sent": {func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				w.WriteHeader(http.StatusCreated)
			}
			_, _ = io.WriteString(w, `{"id":1}`)
		}, "has it, it says, and shows something else"},
		"an API that says where": {func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				w.Header().Set("Location", "/items/1")
				w.WriteHeader(http.StatusCreated)
			}
			_, _ = io.WriteString(w, `{"id":1}`)
		}, "has it, it says, and shows something else"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(test.answer)
			t.Cleanup(server.Close)
			host := strings.TrimPrefix(server.URL, "http://")
			for _, more := range [][]string{nil, {"-t", host + "/acme/app:2"}} {
				c := start(t, nil, append([]string{"push", "--untested", dir, "-t", host + "/acme/app:1"}, more...)...)
				c.exits(6)
				c.says(test.says, host+" does not look like a registry", "no tag moved")
				if c.out.Len() > 0 || strings.Contains(c.stderr(), "s3cret") {
					t.Errorf("standard output = %q; standard error:\n%s", c.out.String(), c.stderr())
				}
			}
		})
	}
}

// A registry may say what it likes beside the header that says it is one.
func TestRegistryWithAPage(t *testing.T) {
	dir, _ := savedImage(t)
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v2/" {
				next.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
			_, _ = io.WriteString(w, "<html>this is a registry</html>")
		})
	}})
	start(t, nil, "push", "--untested", dir, "-t", reg.Host+"/acme/app:1").exits(0)
}
