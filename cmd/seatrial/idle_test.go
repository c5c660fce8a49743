package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// A registry, or what is before it, that says more than it was asked for is no news to a
// user; net/http would tell it by the way, and without a word of whom it is about.
func TestAnswersThatNobodyAskedFor(t *testing.T) {
	dir, _ := savedImage(t)
	reg := faulty(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodHead || !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return true
		}
		_, _ = io.WriteString(c, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\nand one more thing")
		c.Close()
		return true
	})
	c := start(t, nil, "push", "--untested", dir, "-t", reg.Host+"/acme/app:1")
	c.exits(0)
	if strings.Contains(c.stderr(), "one more thing") {
		t.Errorf("standard error:\n%s", c.stderr())
	}
}
