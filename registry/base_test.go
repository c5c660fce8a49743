package registry_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// pushedBase puts a base image into a registry, as an index of two platforms.
func pushedBase(t *testing.T, reg *testenv.Registry) (v1.Image, registry.Base) {
	t.Helper()
	img := testenv.RandomImage(t, 2, 20_000)
	platform := func(arch string) v1.Descriptor {
		return v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}
	}
	idx := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: testenv.RandomImage(t, 1, 1000), Descriptor: platform("arm64")},
		mutate.IndexAddendum{Add: img, Descriptor: platform("amd64")},
	)
	ref := reg.Host + "/library/base:3-slim"
	d := testenv.Push(t, ref, idx, remote.WithAuthFromKeychain(reg.Keychain()))
	return img, registry.Base{Reference: ref, Digest: must(v1.NewHash(d.DigestStr()))(t)}
}

func pull(t *testing.T, ref name.Reference, reg *testenv.Registry) {
	t.Helper()
	img, err := remote.Image(ref, remote.WithAuthFromKeychain(reg.Keychain()))
	if err != nil {
		t.Fatalf("pulling %s: %v", ref, err)
	}
	if err := validate.Image(img); err != nil {
		t.Errorf("validating %s: %v", ref, err)
	}
}

func TestBaseOfSameRegistryIsMounted(t *testing.T) {
	for _, auth := range []testenv.Auth{testenv.AuthNone, testenv.AuthBasic, testenv.AuthToken} {
		for _, lazy := range []string{"absent", "present"} {
			reg := testenv.StartRegistry(t, testenv.RegistryOptions{Auth: auth})
			base, from := pushedBase(t, reg)
			reg.Forget()
			d := startDaemon(t)
			img := onTop(t, base)
			absent := digestsOf(t, base)
			if lazy == "present" {
				absent = nil
			}
			desc := d.add(t, img, absent...)
			// The daemon has resolved the base, so it has its manifests.
			d.addManifest(t, base)
			d.write(t, from.Digest, must(remote.Get(refs(t, from.Reference)[0], remote.WithAuthFromKeychain(reg.Keychain())))(t).Manifest)
			a := d.load(t, desc, registry.LoadOptions{Bases: []registry.Base{from}, Keychain: reg.Keychain()})
			reg.Forget()

			pushed := push(t, a, registry.Options{Keychain: reg.Keychain()}, reg.Host+"/team/app:1")
			if n := reg.Count("PUT", "/blobs/uploads/"); n != 2 {
				t.Errorf("auth %d, base layers %s: %d blobs sent, want the new layer and the config", auth, lazy, n)
			}
			if n := reg.Count("GET", "/blobs/"); n != 0 {
				t.Errorf("auth %d, base layers %s: %d blobs read, want none", auth, lazy, n)
			}
			pull(t, pushed[0].Reference, reg)
		}
	}
}

// Without the base's manifests in the store they are read from the registry.
func TestLazyBaseOfSameRegistryWithoutItsManifest(t *testing.T) {
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
	base, from := pushedBase(t, reg)
	d := startDaemon(t)
	a := d.load(t, d.add(t, onTop(t, base), digestsOf(t, base)...), registry.LoadOptions{Bases: []registry.Base{from}})
	pull(t, push(t, a, registry.Options{}, reg.Host+"/app:1")[0].Reference, reg)
}

func TestLazyBaseOfOtherRegistryIsStreamed(t *testing.T) {
	source := testenv.StartRegistry(t, testenv.RegistryOptions{Auth: testenv.AuthToken})
	target := testenv.StartRegistry(t, testenv.RegistryOptions{})
	base, from := pushedBase(t, source)
	d := startDaemon(t)
	a := d.load(t, d.add(t, onTop(t, base), digestsOf(t, base)...), registry.LoadOptions{
		Bases:    []registry.Base{from},
		Keychain: source.Keychain(),
	})
	source.Forget()
	pushed := push(t, a, registry.Options{}, target.Host+"/app:1")
	pull(t, pushed[0].Reference, target)
	for _, req := range target.Requests() {
		if text := req.String(); strings.Contains(text, "library") || strings.Contains(text, "from=") {
			t.Errorf("request %s tells the target about the base image", text)
		}
	}
	for _, req := range source.Requests() {
		if req.Method != "GET" && req.Method != "HEAD" {
			t.Errorf("request %s to the registry of the base image", req)
		}
	}
	for _, scope := range source.Scopes() {
		if strings.Contains(scope, "push") {
			t.Errorf("asked the registry of the base image for %s", scope)
		}
	}
}

// A token server that refuses the base's scope must not fail the push.
func TestMountRefused(t *testing.T) {
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{Auth: testenv.AuthToken})
	base, from := pushedBase(t, reg)
	closed := testenv.StartRegistry(t, testenv.RegistryOptions{
		Auth: testenv.AuthToken,
		Deny: func(scope string) bool { return strings.HasPrefix(scope, "repository:library/") },
	})
	from.Reference = strings.Replace(from.Reference, reg.Host, closed.Host, 1)
	d := startDaemon(t)
	img := onTop(t, base)
	desc := d.add(t, img)
	d.write(t, from.Digest, must(remote.Get(refs(t, reg.Host+"/library/base:3-slim")[0], remote.WithAuthFromKeychain(reg.Keychain())))(t).Manifest)
	d.addManifest(t, base)
	a := d.load(t, desc, registry.LoadOptions{Bases: []registry.Base{from}, Keychain: closed.Keychain()})
	pull(t, push(t, a, registry.Options{Keychain: closed.Keychain()}, closed.Host+"/app:1")[0].Reference, closed)
}

func TestMaterialize(t *testing.T) {
	source := testenv.StartRegistry(t, testenv.RegistryOptions{})
	target := testenv.StartRegistry(t, testenv.RegistryOptions{})
	base, from := pushedBase(t, source)
	source.Close() // as if only the daemon could reach it
	d := startDaemon(t)
	calls := 0
	a := d.load(t, d.add(t, onTop(t, base), digestsOf(t, base)...), registry.LoadOptions{
		Bases: []registry.Base{from},
		Materialize: func(context.Context) error {
			calls++
			for _, l := range must(base.Layers())(t) {
				d.addLayer(t, l)
			}
			return nil
		},
	})
	pull(t, push(t, a, registry.Options{}, target.Host+"/app:1")[0].Reference, target)
	if calls != 1 {
		t.Errorf("Materialize was called %d times, want once", calls)
	}
}

func TestBlobMissing(t *testing.T) {
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
	d := startDaemon(t)
	img := testenv.RandomImage(t, 2, 1000)
	missing := digestsOf(t, img)[1]
	a := d.load(t, d.add(t, img, missing), registry.LoadOptions{})
	err := newPush(t, registry.Options{}, reg.Host+"/app:1").Upload(t.Context(), a)
	if !errors.Is(err, registry.ErrBlobMissing) || !strings.Contains(err.Error(), missing.String()) {
		t.Errorf("Upload without layer %s = %v, want ErrBlobMissing naming it", missing, err)
	}
}
