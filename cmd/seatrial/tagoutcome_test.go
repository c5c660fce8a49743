package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seatrial/seatrial/hack/testenv"
)

// TestTagThatMayNotBeReadBack has a registry take a tag and then not say what it names.
// The tag has moved: whoever reads the exit code must not take it for where it was.
func TestTagThatMayNotBeReadBack(t *testing.T) {
	var put atomic.Bool
	wrap := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			tag := strings.HasSuffix(r.URL.Path, "/manifests/1")
			if tag && put.Load() && strings.Contains(r.UserAgent(), "seatrial") {
				refuse(w, http.StatusForbidden, "DENIED")
				return
			}
			next.ServeHTTP(w, r)
			if tag && r.Method == http.MethodPut {
				put.Store(true)
			}
		})
	}
	eachRegistry(t, wrap, func(t *testing.T, reg *testenv.Registry, config string) {
		put.Store(false)
		dir, digest := savedImage(t)
		ref := reg.Host + "/acme/app:1"
		c := start(t, []string{config}, "push", "--untested", dir, "-t", ref)
		c.exits(7)
		if got := named(t, ref, reg); got != digest.String() {
			t.Errorf("the tag names %s, want %s", got, digest)
		}
		if strings.Contains(c.stderr(), "no tag moved") {
			t.Errorf("it says that no tag moved, and one has:\n%s", c.stderr())
		}
	})
}

// TestTagMovedThenRefused has a tag that may be written once only, of which the first
// answer is lost, and another that is refused.
func TestTagMovedThenRefused(t *testing.T) {
	var put atomic.Bool
	wrap := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			tag := strings.HasSuffix(r.URL.Path, "/manifests/1")
			switch {
			case r.Method == http.MethodPut && tag && put.CompareAndSwap(false, true):
				next.ServeHTTP(httptest.NewRecorder(), r)
				breakOff(w, r)
			case r.Method == http.MethodPut && (tag || strings.HasSuffix(r.URL.Path, "/manifests/2")):
				_, _ = io.Copy(io.Discard, r.Body)
				refuse(w, http.StatusBadRequest, "TAG_INVALID")
			default:
				next.ServeHTTP(w, r)
			}
		})
	}
	eachRegistry(t, wrap, func(t *testing.T, reg *testenv.Registry, config string) {
		put.Store(false)
		dir, digest := savedImage(t)
		ref := reg.Host + "/acme/app:"
		c := start(t, []string{config}, "push", "--untested", dir, "-t", ref+"1", "-t", ref+"2")
		c.exits(7)
		if got := named(t, ref+"1", reg); got != digest.String() {
			t.Errorf("the tag names %s, want %s", got, digest)
		}
		if want := ref + "1@" + digest.String() + "\n"; c.out.String() != want {
			t.Errorf("standard output = %q, want the one that moved: %q", c.out.String(), want)
		}
		if strings.Contains(c.stderr(), "no tag moved") {
			t.Errorf("it says that no tag moved, and one has:\n%s", c.stderr())
		}
	})
}

// TestInterruptWhileTheTagIsUnsure stops seatrial while a tag is on its way, at a registry
// that then says nothing more.
func TestInterruptWhileTheTagIsUnsure(t *testing.T) {
	reached := make(chan struct{}, 8)
	var silent atomic.Bool
	wrap := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch tag := strings.HasSuffix(r.URL.Path, "/manifests/1"); {
			case tag && r.Method == http.MethodPut:
				next.ServeHTTP(httptest.NewRecorder(), r)
				silent.Store(true)
				reached <- struct{}{}
				<-r.Context().Done()
			case tag && silent.Load() && strings.Contains(r.UserAgent(), "seatrial"):
				<-r.Context().Done()
			default:
				next.ServeHTTP(w, r)
			}
		})
	}
	eachRegistry(t, wrap, func(t *testing.T, reg *testenv.Registry, config string) {
		for _, more := range [][]string{nil, {"--quiet"}} {
			silent.Store(false)
			dir, _ := savedImage(t)
			c := start(t, []string{config}, append([]string{"push", "--untested", dir, "-t", reg.Host + "/acme/app:1"}, more...)...)
			<-reached
			c.signal(syscall.SIGINT)
			c.exits(130)
			_, summary, _ := strings.Cut(c.stderr(), "tested  nothing")
			if len(more) > 0 {
				summary = c.stderr()
			}
			if !strings.Contains(summary, "unknown") {
				t.Errorf("%v: nothing says whether the tag moved:\n%s", more, summary)
			}
		}
	})
}

// TestInterruptBeforeTheTagMoves stops seatrial while a tag is on its way, at a registry that
// says for as long as it is asked that the tag is where it was, and moves it then.
func TestInterruptBeforeTheTagMoves(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			reached, over, moved := make(chan struct{}, 8), make(chan struct{}, 8), make(chan struct{}, 8)
			wrap := func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method != http.MethodPut || !strings.HasSuffix(r.URL.Path, "/manifests/1") {
						next.ServeHTTP(w, r)
						return
					}
					body, _ := io.ReadAll(r.Body)
					later := r.Clone(context.WithoutCancel(r.Context()))
					later.Body = io.NopCloser(bytes.NewReader(body))
					reached <- struct{}{}
					<-over
					next.ServeHTTP(httptest.NewRecorder(), later)
					moved <- struct{}{}
				})
			}
			eachRegistry(t, wrap, func(t *testing.T, reg *testenv.Registry, config string) {
				dir, digest := savedImage(t)
				ref := reg.Host + "/acme/app:1"
				result := filepath.Join(t.TempDir(), "result.json")
				c := start(t, []string{config}, "push", "--untested", dir, "-t", ref, "--result-file", result)
				<-reached
				c.signal(sig)
				c.exits(128 + int(sig))
				over <- struct{}{}
				<-moved
				if got := named(t, ref, reg); got != digest.String() {
					t.Fatalf("the tag names %q, want %s: the test tests nothing", got, digest)
				}
				c.says("failed  "+ref+"  whether the tag moved is unknown", "whether "+ref+" moved is unknown")
				if strings.Contains(c.stderr(), "no tag moved") || c.out.Len() > 0 {
					t.Errorf("standard output = %q; standard error:\n%s", c.out.String(), c.stderr())
				}
				doc := readResult(t, result)
				if len(doc.References) != 0 || len(doc.NotMoved) != 1 || !doc.NotMoved[0].Unsure {
					t.Errorf("the result file has %+v and %+v", doc.References, doc.NotMoved)
				}
			})
		})
	}
}

// TestManifestThatIsNotTaken has a registry that does not know what it is sent, under whatever
// tag.
func TestManifestThatIsNotTaken(t *testing.T) {
	dir, _ := savedImage(t)
	bad := faulty(t, func(w http.ResponseWriter, r *http.Request) bool {
		return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/1") && refuse(w, http.StatusBadRequest, "MANIFEST_INVALID")
	})
	good := testenv.StartRegistry(t, testenv.RegistryOptions{})
	for _, more := range [][]string{nil, {"-t", good.Host + "/acme/app:1"}} {
		c := start(t, nil, append([]string{"push", "--untested", dir, "-t", bad.Host + "/acme/app:1"}, more...)...)
		c.exits(6 + len(more)/2)
		c.says("MANIFEST_INVALID")
		if strings.Contains(c.stderr(), "refused the tag") {
			t.Errorf("the tag is to blame:\n%s", c.stderr())
		}
	}
}

// TestLatestStaysWhereTheFirstTagIsNew has a registry make a new tag, and say of one that is
// there that it moved it.
func TestLatestStaysWhereTheFirstTagIsNew(t *testing.T) {
	var lie atomic.Pointer[v1.Hash]
	wrap := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if digest := lie.Load(); digest != nil && r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/latest") {
				taken(digest.String())(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	eachRegistry(t, wrap, func(t *testing.T, reg *testenv.Registry, config string) {
		lie.Store(nil)
		repo := reg.Host + "/acme/app:"
		old, was := savedImage(t)
		start(t, []string{config}, "push", "--untested", old, "-t", repo+"latest").exits(0)
		dir, digest := savedImage(t)
		lie.Store(&digest)
		c := start(t, []string{config}, "push", "--untested", dir, "-t", repo+"1.2", "-t", repo+"latest")
		c.exits(7)
		if got := named(t, repo+"latest", reg); got != was.String() {
			t.Fatalf("latest names %s, want %s", got, was)
		}
		if strings.Contains(c.out.String(), repo+"latest") {
			t.Errorf("standard output = %q, which tells of latest", c.out.String())
		}
	})
}

// TestInterruptAsTheTagArrives stops seatrial when a tag has come to the registry, which
// goes on with it: that the tag does not name the image yet is not that it will not.
func TestInterruptAsTheTagArrives(t *testing.T) {
	reached := make(chan struct{}, 64)
	wrap := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/1") {
				reached <- struct{}{}
			}
			next.ServeHTTP(w, r)
		})
	}
	eachRegistry(t, wrap, func(t *testing.T, reg *testenv.Registry, config string) {
		ref := reg.Host + "/acme/app:1"
		first, _ := savedImage(t)
		start(t, []string{config}, "push", "--untested", first, "-t", ref).exits(0)
		<-reached
		for range 5 {
			dir, digest := savedImage(t)
			c := start(t, []string{config}, "push", "--untested", dir, "-t", ref)
			<-reached
			c.signal(syscall.SIGINT)
			<-c.read
			_ = c.cmd.Wait() // 130, or 0 if it was done
			moved := false
			for deadline := time.Now().Add(500 * time.Millisecond); !moved && time.Now().Before(deadline); {
				moved = named(t, ref, reg) == digest.String()
			}
			if moved && strings.Contains(c.stderr(), "no tag moved") {
				t.Errorf("it says that no tag moved, and one has:\n%s", c.stderr())
			}
		}
	})
}

// TestTagsThatWereThereBefore has one tag that names the image already, one that is refused,
// and one that moves: the first is told like in a push that goes well.
func TestTagsThatWereThereBefore(t *testing.T) {
	wrap := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/2") {
				_, _ = io.Copy(io.Discard, r.Body)
				refuse(w, http.StatusForbidden, "DENIED")
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	eachRegistry(t, wrap, func(t *testing.T, reg *testenv.Registry, config string) {
		dir, digest := savedImage(t)
		ref := reg.Host + "/acme/app:"
		start(t, []string{config}, "push", "--untested", dir, "-t", ref+"1").exits(0)
		result := filepath.Join(t.TempDir(), "result.json")
		c := start(t, []string{config}, "push", "--untested", dir, "-t", ref+"1", "-t", ref+"2", "-t", ref+"3", "--result-file", result)
		c.exits(7)
		c.says("pushed  "+ref+"1  already there", "pushed  "+ref+"3  tag moved", "failed  "+ref+"2  tag not moved")
		if want := fmt.Sprintf("%s1@%s\n%s3@%s\n", ref, digest, ref, digest); c.out.String() != want {
			t.Errorf("standard output = %q, want all that name the image: %q", c.out.String(), want)
		}
		doc := readResult(t, result)
		if len(doc.References) != 2 || doc.References[0].Moved || !doc.References[1].Moved || len(doc.NotMoved) != 1 {
			t.Errorf("the result file has %+v and %+v", doc.References, doc.NotMoved)
		}
	})
}

// readResult reads a result file.
func readResult(t *testing.T, path string) resultDocument {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var doc resultDocument
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}
