package registry_test

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

func TestPushImageToTwoRegistries(t *testing.T) {
	d := startDaemon(t)
	img := testenv.RandomImage(t, 3, 600_000)
	a := d.load(t, d.add(t, img), registry.LoadOptions{})
	one, two := testenv.StartRegistry(t, testenv.RegistryOptions{}), testenv.StartRegistry(t, testenv.RegistryOptions{})
	want := []string{one.Host + "/team/app:1", one.Host + "/team/app:latest", two.Host + "/app:1"}

	p := newPush(t, registry.Options{}, want...)
	if err := p.Upload(t.Context(), a); err != nil {
		t.Fatalf("Upload: %v", err)
	}
	for _, reg := range []*testenv.Registry{one, two} {
		if n := reg.Count("PUT", "/manifests/"); n != 0 {
			t.Errorf("Upload wrote %d manifests, want none", n)
		}
		if n := reg.Count("PUT", "/blobs/uploads/"); n != 4 {
			t.Errorf("Upload sent %d blobs, want 3 layers and the config", n)
		}
	}
	pushed, err := p.Commit(t.Context(), a)
	if err != nil {
		t.Fatalf("Commit: %v", err)
	}
	var got []string
	for _, one := range pushed {
		got = append(got, one.Reference.Name())
		if digest := must(img.Digest())(t); one.Digest != digest || !one.Moved {
			t.Errorf("pushed %s = %s moved %v, want %s moved", one.Reference, one.Digest, one.Moved, digest)
		}
		pulled := must(remote.Image(one.Reference))(t)
		if err := validate.Image(pulled); err != nil {
			t.Errorf("validating %s: %v", one.Reference, err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pushed references (-want +got):\n%s", diff)
	}
}

func TestPushIndex(t *testing.T) {
	d := startDaemon(t)
	a := d.load(t, d.addIndex(t, newIndex(t)), registry.LoadOptions{})
	distribution, debian := testenv.StartRegistry(t, testenv.RegistryOptions{}), testenv.StartDebianRegistry(t)
	for _, one := range push(t, a, registry.Options{}, distribution.Host+"/app:1", debian.Host+"/app:1") {
		idx := must(remote.Index(one.Reference))(t)
		if err := validate.Index(idx); err != nil {
			t.Errorf("validating %s: %v", one.Reference, err)
		}
	}
}

// An unchanged project must cost next to nothing.
func TestPushUnchanged(t *testing.T) {
	d := startDaemon(t)
	a := d.load(t, d.add(t, testenv.RandomImage(t, 5, 10_000)), registry.LoadOptions{})
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
	tags := []string{reg.Host + "/team/app:1", reg.Host + "/team/app:latest"}
	push(t, a, registry.Options{}, tags...)
	reg.Forget()

	for _, one := range push(t, a, registry.Options{}, tags...) {
		if one.Moved {
			t.Errorf("pushing %s again moved it", one.Reference)
		}
	}
	digest := must(a.Digest())(t).String()
	want := map[string]int{
		"GET /v2/":                              1,
		"HEAD /v2/team/app/manifests/" + digest: 1,
		"HEAD /v2/team/app/manifests/1":         1,
		"HEAD /v2/team/app/manifests/latest":    1,
	}
	got := map[string]int{}
	for _, req := range reg.Requests() {
		got[req.String()]++
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("requests for an unchanged image (-want +got):\n%s", diff)
	}
}

func TestCommitUploadsWhatIsMissing(t *testing.T) {
	d := startDaemon(t)
	a := d.load(t, d.add(t, testenv.RandomImage(t, 2, 10_000)), registry.LoadOptions{})
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
	pushed, err := newPush(t, registry.Options{}, reg.Host+"/app:1").Commit(t.Context(), a)
	if err != nil || len(pushed) != 1 {
		t.Fatalf("Commit without Upload = %v, %v", pushed, err)
	}
	if err := validate.Image(must(remote.Image(pushed[0].Reference))(t)); err != nil {
		t.Errorf("validating pushed image: %v", err)
	}
}

// A tag that names something else moves; one that names the image stays.
func TestCommitTellsWhatMoved(t *testing.T) {
	d := startDaemon(t)
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
	old := d.load(t, d.add(t, testenv.RandomImage(t, 1, 1000)), registry.LoadOptions{})
	now := d.load(t, d.add(t, testenv.RandomImage(t, 1, 1000)), registry.LoadOptions{})
	push(t, old, registry.Options{}, reg.Host+"/app:latest")
	push(t, now, registry.Options{}, reg.Host+"/app:2")
	got := map[string]bool{}
	for _, one := range push(t, now, registry.Options{}, reg.Host+"/app:2", reg.Host+"/app:latest", reg.Host+"/app:new") {
		got[one.Reference.Identifier()] = one.Moved
	}
	if diff := cmp.Diff(map[string]bool{"2": false, "latest": true, "new": true}, got); diff != "" {
		t.Errorf("moved (-want +got):\n%s", diff)
	}
}

func TestNewPushReferences(t *testing.T) {
	if _, err := registry.NewPush(nil, registry.Options{}); err == nil {
		t.Error("NewPush without references succeeded")
	}
	d := startDaemon(t)
	a := d.load(t, d.add(t, testenv.RandomImage(t, 1, 1000)), registry.LoadOptions{})
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
	if pushed := push(t, a, registry.Options{}, reg.Host+"/app:1", reg.Host+"/app:1"); len(pushed) != 1 {
		t.Errorf("pushing the same reference twice = %v, want it once", pushed)
	}
	digest := must(a.Digest())(t).String()
	if pushed := push(t, a, registry.Options{}, reg.Host+"/other@"+digest); len(pushed) != 1 || pushed[0].Moved {
		t.Errorf("pushing by digest = %v, want one reference that did not move", pushed)
	}
	reg.Forget()
	p := newPush(t, registry.Options{}, reg.Host+"/app@sha256:"+strings.Repeat("0", 64))
	if _, err := p.Commit(t.Context(), a); err == nil || len(reg.Requests()) != 0 {
		t.Errorf("Commit to another digest = %v after %v, want an error without any request", err, reg.Requests())
	}
}

// Repositories of one registry share what was sent once.
func TestPushTwoRepositoriesOfOneRegistry(t *testing.T) {
	d := startDaemon(t)
	a := d.load(t, d.add(t, testenv.RandomImage(t, 3, 10_000)), registry.LoadOptions{})
	for _, auth := range []testenv.Auth{testenv.AuthNone, testenv.AuthToken} {
		reg := testenv.StartRegistry(t, testenv.RegistryOptions{Auth: auth})
		opt := registry.Options{Keychain: reg.Keychain()}
		push(t, a, opt, reg.Host+"/app:1", reg.Host+"/copy/app:1")
		push(t, a, opt, reg.Host+"/app:1", reg.Host+"/third/app:1")
		if n := reg.Count("PUT", "/v2/app/blobs/uploads/"); n != 4 {
			t.Errorf("first repository received %d blobs, want 4", n)
		}
		for _, repo := range []string{"copy/app", "third/app"} {
			if n := reg.Count("PUT", "/v2/"+repo+"/blobs/uploads/"); n != 0 {
				t.Errorf("%s received %d blobs, want all mounted", repo, n)
			}
			ref := must(name.ParseReference(reg.Host + "/" + repo + ":1"))(t)
			if err := validate.Image(must(remote.Image(ref, remote.WithAuthFromKeychain(reg.Keychain())))(t)); err != nil {
				t.Errorf("validating %s: %v", ref, err)
			}
		}
	}
}

func TestProgress(t *testing.T) {
	d := startDaemon(t)
	img := testenv.RandomImage(t, 2, 1<<20)
	a := d.load(t, d.add(t, img), registry.LoadOptions{})
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
	var mu sync.Mutex
	last := map[string]registry.State{}
	largest := map[v1.Hash]int64{}
	opt := registry.Options{Progress: func(p registry.Progress) {
		mu.Lock()
		defer mu.Unlock()
		last[p.Repository.RepositoryStr()+" "+p.Digest.String()] = p.State
		largest[p.Digest] = max(largest[p.Digest], p.Sent)
		if p.Sent > p.Size {
			t.Errorf("progress of %s: %d of %d bytes sent", p.Digest, p.Sent, p.Size)
		}
	}}
	push(t, a, opt, reg.Host+"/app:1", reg.Host+"/copy:1")
	next := d.load(t, d.add(t, onTop(t, img)), registry.LoadOptions{})
	want := map[string]registry.State{}
	for _, h := range append(digestsOf(t, img), must(img.ConfigName())(t)) {
		want["app "+h.String()] = registry.StateDone
		want["copy "+h.String()] = registry.StateMounted
	}
	if diff := cmp.Diff(want, last); diff != "" {
		t.Errorf("last states (-want +got):\n%s", diff)
	}
	for _, l := range must(img.Layers())(t) {
		h, size := must(l.Digest())(t), must(l.Size())(t)
		if largest[h] != size {
			t.Errorf("progress of %s went up to %d, want %d", h, largest[h], size)
		}
	}
	clear(last)
	push(t, next, opt, reg.Host+"/app:2")
	states := slices.Sorted(maps.Values(last))
	if diff := cmp.Diff([]registry.State{"done", "done", "exists", "exists"}, states); diff != "" {
		t.Errorf("last states of the next image (-want +got):\n%s", diff)
	}
}
