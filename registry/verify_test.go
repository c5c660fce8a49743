package registry_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// A blob that goes missing between its upload and the tag costs the push, not the
// tag.
func TestVerifyFindsALostBlob(t *testing.T) {
	var written atomic.Bool
	onRegistries(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if written.Load() && req.Method == http.MethodHead && strings.Contains(req.URL.Path, "/blobs/") {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			next.ServeHTTP(w, req)
			if req.Method == http.MethodPut && strings.Contains(req.URL.Path, "/manifests/") {
				written.Store(true)
			}
		})
	}, func(t *testing.T, reg *testenv.Registry) {
		written.Store(false)
		_, err := newPush(t, registry.Options{Verify: true}, reg.Host+"/app:1").Commit(t.Context(), loaded(t))
		if err == nil || !strings.Contains(err.Error(), "verifying layer sha256:") || !strings.Contains(err.Error(), reg.Host+"/app") {
			t.Errorf("Commit = %v, want an error that names the layer and the repository", err)
		}
		if got := names(t, reg.Host+"/app:1"); got != "" {
			t.Errorf("the tag names %s, want nothing", got)
		}
	})
}

// A manifest that is there does not prove that its blobs are.
func TestVerifySendsWhatIsMissing(t *testing.T) {
	d := startDaemon(t)
	img := testenv.RandomImage(t, 2, 1000)
	a := d.load(t, d.add(t, img), registry.LoadOptions{})
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
	push(t, a, registry.Options{}, reg.Host+"/app:1")
	remove(t, reg, "app", digestsOf(t, img)[0])
	reg.Forget()
	pushed := push(t, a, registry.Options{Verify: true}, reg.Host+"/app:2")
	if n := reg.Count("PUT", "/blobs/uploads/"); n != 1 {
		t.Errorf("%d blobs sent, want the missing one", n)
	}
	for _, h := range append(digestsOf(t, img), must(img.ConfigName())(t)) {
		if n := reg.Count("HEAD", "/blobs/"+h.String()); n == 0 {
			t.Errorf("blob %s was not asked for", h)
		}
	}
	pull(t, pushed[0].Reference, reg)
}

func remove(t *testing.T, reg *testenv.Registry, repo string, blob v1.Hash) {
	t.Helper()
	req := must(http.NewRequestWithContext(t.Context(), http.MethodDelete, "http://"+reg.Host+"/v2/"+repo+"/blobs/"+blob.String(), nil))(t)
	resp := must(http.DefaultClient.Do(req))(t)
	resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		t.Fatalf("deleting %s: %s", blob, resp.Status)
	}
}

// What is missing is sent with Verify, of manifests, too.
func TestVerifySendsAMissingManifest(t *testing.T) {
	d := startDaemon(t)
	img := testenv.RandomImage(t, 1, 1000)
	a := d.load(t, d.addIndex(t, mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: img}, mutate.IndexAddendum{Add: testenv.RandomImage(t, 1, 1000)})), registry.LoadOptions{})
	onRegistries(t, nil, func(t *testing.T, reg *testenv.Registry) {
		push(t, a, registry.Options{}, reg.Host+"/app:1")
		removeManifest(t, reg, "app", must(img.Digest())(t))
		for _, tag := range []string{"1", "2"} {
			p := newPush(t, registry.Options{Verify: true}, reg.Host+"/app:"+tag)
			if _, err := p.Commit(t.Context(), a); err != nil {
				t.Errorf("Commit to %s = %v, want nil: what is missing is sent", tag, err)
			}
		}
	})
}

// Harbor lets nobody pull what was not scanned yet: with 412, which says that it is there.
func TestVerifyWhereNothingMayBePulledYet(t *testing.T) {
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, req)
			maps.Copy(w.Header(), rec.Header())
			if req.Method == http.MethodHead && rec.Code == http.StatusOK && strings.Contains(req.URL.Path, "/manifests/") {
				rec.Code = http.StatusPreconditionFailed
				w.Header().Del("Docker-Content-Digest")
			}
			w.WriteHeader(rec.Code)
			_, _ = w.Write(rec.Body.Bytes())
		})
	}})
	d := startDaemon(t)
	a := d.load(t, d.addIndex(t, mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: testenv.RandomImage(t, 1, 1000)})), registry.LoadOptions{})
	pushed, err := newPush(t, registry.Options{Verify: true}, reg.Host+"/app:1").WithBackoff(time.Millisecond).Commit(t.Context(), a)
	if err != nil || !pushed[0].Moved {
		t.Fatalf("Commit = %+v, %v, want the tag moved", pushed, err)
	}
	pull(t, pushed[0].Reference, reg)
}

func removeManifest(t *testing.T, reg *testenv.Registry, repo string, digest v1.Hash) {
	t.Helper()
	req := must(http.NewRequestWithContext(t.Context(), http.MethodDelete, "http://"+reg.Host+"/v2/"+repo+"/manifests/"+digest.String(), nil))(t)
	resp := must(http.DefaultClient.Do(req))(t)
	resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		t.Fatalf("deleting %s: %s", digest, resp.Status)
	}
}
