package registry_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// References by digest among tags, in several repositories of two registries.
func TestDigestsAmongTags(t *testing.T) {
	a := loaded(t)
	digest := must(a.Digest())(t).String()
	onRegistries(t, nil, func(t *testing.T, one *testenv.Registry) {
		two := testenv.StartRegistry(t, testenv.RegistryOptions{})
		all := []string{one.Host + "/a@" + digest, one.Host + "/a:1", one.Host + "/a:2", one.Host + "/b@" + digest, two.Host + "/a:2", two.Host + "/a@" + digest, one.Host + "/b:1"}
		var got []bool
		for _, p := range push(t, a, registry.Options{Verify: true}, all...) {
			got = append(got, p.Moved)
			if names(t, p.Reference.Name()) != digest {
				t.Errorf("%s names something else", p.Reference)
			}
		}
		if diff := cmp.Diff([]bool{false, true, true, false, true, false, true}, got); diff != "" {
			t.Errorf("moved (-want +got):\n%s", diff)
		}
	})
}

// An index around an image that is there, of which a tag does not move: the tags were read.
func TestAttestedTagThatStays(t *testing.T) {
	img, old := storedImage(t), loaded(t)
	one := must(img.Digest())(t)
	attested := must(registry.Attest(t.Context(), img, []registry.Statement{statement(one, "one")}, registry.AttestOptions{}))(t)
	lie := saying(http.StatusCreated, must(attested.Digest())(t).String())
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: fault("PUT", "/manifests/latest", second(lie))})
	push(t, old, registry.Options{}, reg.Host+"/app:latest")
	push(t, img, registry.Options{}, reg.Host+"/app:0")
	p := newPush(t, registry.Options{}, reg.Host+"/app:1", reg.Host+"/app:latest").WithBackoff(time.Millisecond)
	upload(t, p, img)
	pushed, err := p.Commit(t.Context(), attested)
	var partial *registry.PartialError
	if !errors.As(err, &partial) || len(partial.Moved) != 1 || partial.Moved[0].Reference.Identifier() != "1" {
		t.Errorf("Commit = %+v, %v, want an error that only the first has moved", pushed, err)
	}
}

// A second commit of the same image moves nothing.
func TestCommitTwice(t *testing.T) {
	a := loaded(t)
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
	p := newPush(t, registry.Options{}, reg.Host+"/app:1", reg.Host+"/app:2")
	for _, moved := range []bool{true, false} {
		for _, one := range commit(t, p, a) {
			if one.Moved != moved {
				t.Errorf("%s moved: %v, want %v", one.Reference, one.Moved, moved)
			}
		}
	}
}

// Another digest on the same Push, after an upload of the first.
func TestCommitOfAnother(t *testing.T) {
	a, b, old := loaded(t), loaded(t), loaded(t)
	onRegistries(t, nil, func(t *testing.T, reg *testenv.Registry) {
		tags := []string{reg.Host + "/app:1", reg.Host + "/app:2"}
		push(t, old, registry.Options{}, tags...)
		p := newPush(t, registry.Options{}, tags...)
		if err := p.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		upload(t, p, a)
		upload(t, p, b)
		for i, one := range commit(t, p, b) {
			if !one.Moved || names(t, tags[i]) != must(b.Digest())(t).String() {
				t.Errorf("%s names something else than was committed: %+v", tags[i], one)
			}
		}
		pull(t, refs(t, tags[0])[0], reg)
	})
}

// Cancelled between one tag and the other.
func TestCancelledBetweenTags(t *testing.T) {
	a := loaded(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var put atomic.Bool
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method == http.MethodPut && strings.HasSuffix(req.URL.Path, "/manifests/2") {
				_, _ = io.Copy(io.Discard, req.Body)
				<-req.Context().Done()
				return
			}
			next.ServeHTTP(w, req)
			if req.Method == http.MethodPut && strings.HasSuffix(req.URL.Path, "/manifests/1") {
				put.Store(true)
			}
			if put.Load() && req.Method == http.MethodHead && strings.HasSuffix(req.URL.Path, "/manifests/1") {
				time.AfterFunc(50*time.Millisecond, cancel)
			}
		})
	}})
	_, err := newPush(t, registry.Options{}, reg.Host+"/app:1", reg.Host+"/app:2").Commit(ctx, a)
	var partial *registry.PartialError
	if !errors.As(err, &partial) || len(partial.Moved) != 1 || partial.Moved[0].Reference.Identifier() != "1" || !errors.Is(err, context.Canceled) {
		t.Errorf("Commit = %v, want that it was cancelled, and that the first tag has moved", err)
	}
}
