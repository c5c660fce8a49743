package registry_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seatrial/seatrial/registry"
)

// watched notes which requests a transport was given.
type watched struct {
	http.RoundTripper
	mu   sync.Mutex
	seen []string
}

func (w *watched) RoundTrip(req *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.seen = append(w.seen, req.Method+" "+req.URL.Path)
	w.mu.Unlock()
	return w.RoundTripper.RoundTrip(req)
}

// count is how many there were since it was last asked for.
func (w *watched) count(prefixes ...string) []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	counts := make([]int, len(prefixes))
	for _, req := range w.seen {
		for i, prefix := range prefixes {
			if strings.HasPrefix(req, prefix) {
				counts[i]++
			}
		}
	}
	w.seen = nil
	return counts
}

// connected is a push that has connected and seen what its tags name.
func connected(t *testing.T, opt registry.Options, names ...string) *registry.Push {
	t.Helper()
	p := newPush(t, opt, names...)
	if err := p.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(roundTrip)
	synctest.Wait() // for what wakes at the same moment
	return p
}

func upload(t *testing.T, p *registry.Push, a registry.Artifact) {
	t.Helper()
	if err := p.Upload(t.Context(), a); err != nil {
		t.Fatalf("Upload: %v", err)
	}
}

func commit(t *testing.T, p *registry.Push, a registry.Artifact) []registry.Pushed {
	t.Helper()
	pushed, err := p.Commit(t.Context(), a)
	if err != nil {
		t.Fatalf("Commit: %v", err)
	}
	return pushed
}

// bubble runs a test with a registry far away.
func bubble(t *testing.T, name string, f func(t *testing.T, w *watched, opt registry.Options, img registry.Artifact)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := &watched{RoundTripper: newFarRegistry()}
			f(t, w, registry.Options{Transport: w}, storedImage(t))
		})
	})
}

// What tags name while the image is built tells what has to be asked for after it.
func TestTagsAreSeenEarly(t *testing.T) {
	const heads, posts = "HEAD /v2/app/blobs/", "POST /v2/app/blobs/"
	asked := func(t *testing.T, w *watched, what string, manifests, blobs, uploads int) {
		t.Helper()
		want := []int{manifests, blobs, uploads}
		if diff := cmp.Diff(want, w.count("HEAD /v2/app/manifests/", heads, posts)); diff != "" {
			t.Errorf("%s asked for manifests, blobs, and uploads (-want +got):\n%s", what, diff)
		}
	}
	bubble(t, "a tag that names the image", func(t *testing.T, w *watched, opt registry.Options, img registry.Artifact) {
		p := connected(t, opt, "far.example/app:1", "far.example/app:2")
		upload(t, p, img)
		commit(t, p, img)
		asked(t, w, "the first push", 3+2, 5, 5) // one tag, the image, the other; both in the end
		p = connected(t, opt, "far.example/app:1", "far.example/app:2")
		upload(t, p, img)
		for _, pushed := range commit(t, p, img) {
			if pushed.Moved {
				t.Errorf("%s moved", pushed.Reference)
			}
		}
		asked(t, w, "the unchanged push", 2, 0, 0)
	})
	bubble(t, "tags that name another", func(t *testing.T, w *watched, opt registry.Options, img registry.Artifact) {
		push(t, storedImage(t), opt, "far.example/app:1", "far.example/app:2")
		w.count()
		p := connected(t, opt, "far.example/app:1", "far.example/app:2")
		upload(t, p, img)
		commit(t, p, img)
		asked(t, w, "the push", 2+2, 5, 5) // one tag, the image; both tags in the end
	})
	bubble(t, "a tag that names another", func(t *testing.T, w *watched, opt registry.Options, img registry.Artifact) {
		p := connected(t, opt, "far.example/app:1")
		upload(t, p, img)
		asked(t, w, "the first push", 2, 5, 5)
		commit(t, p, img)
		asked(t, w, "its commit", 1, 0, 0)
		p = connected(t, opt, "far.example/app:1")
		other := storedImage(t)
		upload(t, p, other)
		if !commit(t, p, other)[0].Moved {
			t.Error("the tag has not moved")
		}
		asked(t, w, "the next push", 3, 5, 5)
	})
	bubble(t, "a tag that names an index", func(t *testing.T, w *watched, opt registry.Options, img registry.Artifact) {
		one := must(img.Digest())(t)
		attested := must(registry.Attest(t.Context(), img, []registry.Statement{statement(one, "one")}, registry.AttestOptions{}))(t)
		p := connected(t, opt, "far.example/app:1")
		upload(t, p, img)
		commit(t, p, attested)
		w.count()
		p = connected(t, opt, "far.example/app:1")
		upload(t, p, img)
		commit(t, p, attested)
		asked(t, w, "the unchanged push", 2, 0, 0)
	})
	// Many pushes have a tag of their own: whether the image is there, only the
	// registry knows.
	bubble(t, "a new tag", func(t *testing.T, w *watched, opt registry.Options, img registry.Artifact) {
		push(t, img, opt, "far.example/app:1")
		w.count()
		p := connected(t, opt, "far.example/app:2")
		upload(t, p, img)
		commit(t, p, img)
		asked(t, w, "the push of what is there", 3, 5, 0)
	})
}

// What was seen too long ago, or not at all, is looked at again.
func TestTagsThatWereNotSeenEarly(t *testing.T) {
	bubble(t, "a tag that another push moves meanwhile", func(t *testing.T, _ *watched, opt registry.Options, img registry.Artifact) {
		push(t, img, opt, "far.example/app:1")
		p := connected(t, opt, "far.example/app:1")
		upload(t, p, img)
		push(t, storedImage(t), opt, "far.example/app:1")
		time.Sleep(time.Minute) // the image is tested
		if !commit(t, p, img)[0].Moved {
			t.Error("the tag has not moved back")
		}
		if got, want := namedBy(t, opt, "far.example/app:1"), must(img.Digest())(t); got != want {
			t.Errorf("the tag names %s, want %s", got, want)
		}
	})
	bubble(t, "a look that fails", func(t *testing.T, w *watched, opt registry.Options, img registry.Artifact) {
		w.RoundTripper = failing{w.RoundTripper, "HEAD", "/v2/app/manifests/1", new(sync.Once)}
		p := connected(t, opt, "far.example/app:1")
		upload(t, p, img)
		if !commit(t, p, img)[0].Moved {
			t.Error("the tag has not moved")
		}
	})
}

// failing answers the first request of a kind with 500.
type failing struct {
	http.RoundTripper
	method, path string
	once         *sync.Once
}

func (f failing) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	if req.Method == f.method && req.URL.Path == f.path {
		f.once.Do(func() {
			resp = &http.Response{StatusCode: http.StatusInternalServerError, Body: http.NoBody, Request: req}
		})
	}
	if resp != nil {
		return resp, nil
	}
	return f.RoundTripper.RoundTrip(req)
}

// namedBy is what a tag names, as another client sees it.
func namedBy(t *testing.T, opt registry.Options, tag string) v1.Hash {
	t.Helper()
	r, err := registry.NewReader(context.Background(), refs(t, tag)[0].Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	attested, err := r.Attested(context.Background(), refs(t, tag)[0], "none")
	if err != nil {
		t.Fatal(err)
	}
	return attested.Digest
}
