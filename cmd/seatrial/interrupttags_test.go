package main

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	ggcrlayout "github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/seatrial/seatrial/hack/testenv"
)

// savedImage is a layout of a small image.
func savedImage(t *testing.T) (dir string, digest v1.Hash) {
	t.Helper()
	img := testenv.RandomImage(t, 2, 2000)
	dir = t.TempDir()
	l, err := ggcrlayout.Write(dir, empty.Index)
	if err == nil {
		err = l.AppendImage(img)
	}
	if err == nil {
		digest, err = img.Digest()
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir, digest
}

// TestInterruptBetweenTags stops seatrial when one tag has moved and another is on its way:
// the one is told, and that nobody knows of the other, which the registry may yet move.
func TestInterruptBetweenTags(t *testing.T) {
	var put atomic.Bool
	moved, reached := make(chan struct{}, 8), make(chan struct{}, 8)
	wrap := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/2") {
				_, _ = io.Copy(io.Discard, r.Body)
				reached <- struct{}{}
				<-r.Context().Done()
				return
			}
			next.ServeHTTP(w, r)
			if !strings.HasSuffix(r.URL.Path, "/manifests/1") {
				return
			}
			switch r.Method {
			case http.MethodPut:
				put.Store(true)
			case http.MethodHead:
				if put.CompareAndSwap(true, false) {
					moved <- struct{}{} // it was read back
				}
			}
		})
	}
	eachRegistry(t, wrap, func(t *testing.T, reg *testenv.Registry, config string) {
		dir, digest := savedImage(t)
		ref := reg.Host + "/acme/app:"
		c := start(t, []string{config}, "push", "--untested", dir, "-t", ref+"1", "-t", ref+"2")
		<-reached
		<-moved
		c.signal(syscall.SIGINT)
		c.exits(130)
		if want := ref + "1@" + digest.String() + "\n"; c.out.String() != want {
			t.Errorf("standard output = %q, want the one that moved: %q; it said:\n%s", c.out.String(), want, c.stderr())
		}
		c.says(ref + "2  whether the tag moved is unknown")
	})
}
