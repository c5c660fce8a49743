package registry_test

import (
	"bytes"
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/errdefs"
	"github.com/google/go-cmp/cmp"
	fakeregistry "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// roundTrip is what a request costs in a bubble, where time passes only while all
// wait: what a push took tells how many of its requests waited for another.
const roundTrip = time.Second

// farRegistry is a registry in this process, a round trip away.
type farRegistry struct{ handler http.Handler }

func newFarRegistry() *farRegistry {
	return &farRegistry{fakeregistry.New(fakeregistry.Logger(log.New(io.Discard, "", 0)))}
}

func (f *farRegistry) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body == nil {
		req.Body = http.NoBody
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	time.Sleep(roundTrip)
	req.Body = io.NopCloser(bytes.NewReader(body))
	rec := httptest.NewRecorder()
	f.handler.ServeHTTP(rec, req)
	resp := rec.Result()
	resp.Request = req
	return resp, nil
}

// mapStore is a Store of an image's blobs.
type mapStore map[v1.Hash][]byte

func (m mapStore) Open(_ context.Context, desc v1.Descriptor) (io.ReadCloser, error) {
	b, ok := m[desc.Digest]
	if !ok {
		return nil, errdefs.ErrNotFound
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

func (m mapStore) Has(_ context.Context, h v1.Hash) (bool, error) { return m[h] != nil, nil }

// storedImage loads an image of four layers out of a mapStore.
func storedImage(t *testing.T) registry.Artifact {
	t.Helper()
	img := mutate.MediaType(mutate.ConfigMediaType(testenv.RandomImage(t, 4, 2<<20), types.OCIConfigJSON), types.OCIManifestSchema1)
	store := mapStore{must(img.ConfigName())(t): must(img.RawConfigFile())(t), must(img.Digest())(t): must(img.RawManifest())(t)}
	for _, l := range must(img.Layers())(t) {
		store[must(l.Digest())(t)] = must(io.ReadAll(must(l.Compressed())(t)))(t)
	}
	desc := ocispecs.Descriptor{
		MediaType: string(types.OCIManifestSchema1), Digest: digest.Digest(must(img.Digest())(t).String()), Size: must(img.Size())(t),
	}
	return must(registry.Load(t.Context(), store, desc, registry.LoadOptions{}))(t)
}

// crowdedRegistry takes minutes for what a layer sends.
type crowdedRegistry struct{ http.RoundTripper }

func (c crowdedRegistry) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.ContentLength > 1<<20 {
		time.Sleep(3 * time.Minute)
	}
	return c.RoundTripper.RoundTrip(req)
}

// A layer whose turn comes so late that the registry may have forgotten the upload that was
// begun for it begins another, and leaves none behind.
func TestUploadBegunLongAgo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watched{RoundTripper: crowdedRegistry{newFarRegistry()}}
		push(t, storedImage(t), registry.Options{Transport: w, Jobs: 1}, "far.example/app:1")
		const uploads = " /v2/app/blobs/uploads/"
		got := w.count("POST"+uploads, "DELETE"+uploads, "PUT"+uploads)
		// The first of four layers is sent at once, the others wait; the config does not.
		if diff := cmp.Diff([]int{5 + 3, 3, 5}, got); diff != "" {
			t.Errorf("uploads begun, cancelled, and done (-want +got):\n%s", diff)
		}
	})
}

// A push that is broken off leaves no uploads that were begun for layers in the line.
func TestUploadsInLineAreCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watched{RoundTripper: crowdedRegistry{newFarRegistry()}}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		if err := newPush(t, registry.Options{Transport: w, Jobs: 1}, "far.example/app:1").Upload(ctx, storedImage(t)); err == nil {
			t.Error("the upload went on")
		}
		const uploads = " /v2/app/blobs/uploads/"
		// The config is there by then, one layer is being sent, and two wait for it.
		if diff := cmp.Diff([]int{4, 2}, w.count("POST"+uploads, "DELETE"+uploads)); diff != "" {
			t.Errorf("uploads begun, and cancelled (-want +got):\n%s", diff)
		}
	})
}

// wrongStatus has the far registry say of an upload it offers that something was created.
type wrongStatus struct{ http.RoundTripper }

func (w wrongStatus) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := w.RoundTripper.RoundTrip(req)
	if err == nil && resp.StatusCode == http.StatusAccepted {
		resp.StatusCode = http.StatusCreated
	}
	return resp, err
}

// A registry that was asked to mount nothing has mounted nothing, whatever it says.
func TestUploadOfferedWithWrongStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watched{RoundTripper: wrongStatus{crowdedRegistry{newFarRegistry()}}}
		push(t, storedImage(t), registry.Options{Transport: w, Jobs: 1}, "far.example/app:1")
		if got := w.count("PUT /v2/app/blobs/uploads/"); got[0] != 5 {
			t.Errorf("%d blobs were sent, want 5", got[0])
		}
	})
}

// How long a push takes to a registry far away is how often it waits for an answer
// before it asks the next.
func TestRoundTrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := newFarRegistry()
		opt := registry.Options{Transport: far}
		img := storedImage(t)
		one := must(img.Digest())(t)
		attested := must(registry.Attest(t.Context(), img, []registry.Statement{statement(one, "one")}, registry.AttestOptions{}))(t)
		started := time.Now()
		waits := func(what string, want int, f func() error) {
			t.Helper()
			started = time.Now()
			if err := f(); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if got := int(time.Since(started) / roundTrip); got != want {
				t.Errorf("%s waited for %d answers, want %d", what, got, want)
			}
		}
		p := newPush(t, opt, "far.example/app:1", "far.example/app:2")
		waits("connecting", 1, func() error { return p.Connect(t.Context()) })
		// What do the tags name, is the manifest there, are the blobs; begin them, put
		// them: the config beside the layers.
		waits("uploading", 3, func() error { return p.Upload(t.Context(), img) })
		drop := p.Announce(t.Context(), 3)
		time.Sleep(roundTrip) // the image is tested
		// Put the statement; its manifest and the image's; the index; the tags; read
		// them back. An index around an image that was not there is not asked for, nor
		// is a statement that was made just now.
		waits("committing", 5, func() error { _, err := p.Commit(t.Context(), attested); return err })
		waits("dropping nothing", 0, func() error { drop(); return nil })

		p = newPush(t, opt, "far.example/app:1", "far.example/app:2")
		waits("connecting again", 1, func() error { return p.Connect(t.Context()) })
		// That the image is there is known now, and the second tag is looked at.
		waits("uploading again", 1, func() error { return p.Upload(t.Context(), img) })
		waits("committing again", 1, func() error { _, err := p.Commit(t.Context(), attested); return err })

		// Without a statement: the manifest, the tags, and read them back.
		opt.Transport = newFarRegistry()
		p = newPush(t, opt, "far.example/app:1", "far.example/app:2")
		waits("connecting once more", 1, func() error { return p.Connect(t.Context()) })
		waits("uploading elsewhere", 3, func() error { return p.Upload(t.Context(), img) })
		drop = p.Announce(t.Context(), 1)
		waits("committing elsewhere", 3, func() error { _, err := p.Commit(t.Context(), img); return err })
		waits("dropping one", 1, func() error { drop(); return nil })

		// A lone tag is put at once, and read back.
		opt.Transport = newFarRegistry()
		p = newPush(t, opt, "far.example/app:1")
		waits("connecting for one tag", 1, func() error { return p.Connect(t.Context()) })
		waits("uploading for one tag", 3, func() error { return p.Upload(t.Context(), img) })
		waits("committing one tag", 2, func() error { _, err := p.Commit(t.Context(), img); return err })

		// With one layer sent at a time, those before are waited for and the next are
		// begun: is the manifest there, are the first two blobs, are the next, is the config;
		// begin that, put it. The layers meanwhile.
		opt.Transport, opt.Jobs = newFarRegistry(), 1
		p = newPush(t, opt, "far.example/app:1")
		waits("connecting for one job", 1, func() error { return p.Connect(t.Context()) })
		waits("uploading one by one", 5, func() error { return p.Upload(t.Context(), img) })
		opt.Jobs = 0

		// What was begun too long ago is begun anew.
		opt.Transport = newFarRegistry()
		p = newPush(t, opt, "far.example/app:1")
		waits("uploading to a third", 5, func() error { return p.Upload(t.Context(), img) })
		drop = p.Announce(t.Context(), 3)
		time.Sleep(time.Minute)
		waits("committing late", 5, func() error { _, err := p.Commit(t.Context(), attested); return err })
		waits("dropping all", 1, func() error { drop(); return nil })
	})
}
