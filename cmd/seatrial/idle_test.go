package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/seatrial/seatrial/hack/testenv"
)

// A registry, or what is before it, that says more than it was asked for is no news to a
// user; net/http would tell it by the way, and without a word of whom it is about.
func TestAnswersThatNobodyAskedFor(t *testing.T) {
	dir, _ := savedImage(t)
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodHead || !strings.Contains(r.URL.Path, "/blobs/") {
				next.ServeHTTP(w, r)
				return
			}
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\nand one more thing")
			c.Close()
		})
	}})
	c := start(t, nil, "push", "--untested", dir, "-t", reg.Host+"/acme/app:1")
	c.exits(0)
	if strings.Contains(c.stderr(), "one more thing") {
		t.Errorf("standard error:\n%s", c.stderr())
	}
}
