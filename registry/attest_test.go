package registry_test

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

const testPredicate = "https://example.org/tested/v1"

// statement attests something of an image, with a file.
func statement(of v1.Hash, text string) registry.Statement {
	return registry.Statement{
		Image: of, PredicateType: testPredicate, JSON: []byte(`{"predicateType":"` + testPredicate + `","text":"` + text + `"}`),
		Files: []registry.StatementFile{{Name: "notes.txt", MediaType: "text/plain", Data: []byte(text)}},
	}
}

// ociImage is of OCI's media types, as BuildKit makes them.
func ociImage(t *testing.T) v1.Image {
	t.Helper()
	img := mutate.ConfigMediaType(mutate.MediaType(testenv.RandomImage(t, 2, 4096), types.OCIManifestSchema1), types.OCIConfigJSON)
	return must(mutate.ConfigFile(img, &v1.ConfigFile{OS: "linux", Architecture: "arm64", RootFS: must(img.ConfigFile())(t).RootFS}))(t)
}

// pulled is the index that a reference names, valid, with its attestation manifests.
func pulled(t *testing.T, ref string) (v1.ImageIndex, []v1.Descriptor) {
	t.Helper()
	idx := must(remote.Index(must(name.ParseReference(ref))(t)))(t)
	var found []v1.Descriptor
	for _, d := range must(idx.IndexManifest())(t).Manifests {
		if d.Annotations["vnd.docker.reference.type"] == "attestation-manifest" {
			found = append(found, d)
		} else if err := validate.Image(must(idx.Image(d.Digest))(t)); err != nil {
			t.Errorf("validating %s, which arrived: %v", d.Digest, err)
		}
	}
	return idx, found
}

// layers are the texts of a manifest's layers.
func layers(t *testing.T, img v1.Image) []string {
	t.Helper()
	var out []string
	for _, l := range must(img.Layers())(t) {
		r := must(l.Compressed())(t)
		out = append(out, string(must(io.ReadAll(r))(t)))
		r.Close()
	}
	return out
}

// TestAttestImage pushes an image, and then the index that says something of it: as
// the registry's referrers API tells, too, where there is one.
func TestAttestImage(t *testing.T) {
	d := startDaemon(t)
	img := d.load(t, d.add(t, ociImage(t)), registry.LoadOptions{})
	digest := must(img.Digest())(t)
	attested := must(registry.Attest(t.Context(), img, []registry.Statement{statement(digest, "one")}, registry.AttestOptions{}))(t)
	again := must(registry.Attest(t.Context(), img, []registry.Statement{statement(digest, "one")}, registry.AttestOptions{}))(t)
	if a, b := must(attested.Digest())(t), must(again.Digest())(t); a != b {
		t.Errorf("attesting the same twice gives %s and %s, want one digest", a, b)
	}
	for _, reg := range []string{testenv.StartRegistry(t, testenv.RegistryOptions{}).Host, testenv.StartDebianRegistry(t).Host} {
		ref := reg + "/team/app:1"
		p := newPush(t, registry.Options{}, ref)
		if err := p.Upload(t.Context(), img); err != nil {
			t.Fatal(err)
		}
		pushed := must(p.Commit(t.Context(), attested))(t)
		if want := must(attested.Digest())(t); pushed[0].Digest != want || names(t, ref) != want.String() {
			t.Errorf("%s names %s, and Commit says %s; want %s", ref, names(t, ref), pushed[0].Digest, want)
		}
		idx, found := pulled(t, ref)
		if len(found) != 1 || found[0].Annotations["vnd.docker.reference.digest"] != digest.String() || found[0].Platform.String() != "unknown/unknown" {
			t.Fatalf("attestation manifests = %v, want one of %s", found, digest)
		}
		if p := must(idx.IndexManifest())(t).Manifests[0].Platform; p.String() != "linux/arm64" {
			t.Errorf("platform of the image in the index = %s, want that of its config", p)
		}
		m := must(idx.Image(found[0].Digest))(t)
		if got := layers(t, m); len(got) != 2 || !strings.Contains(got[0], "one") || got[1] != "one" {
			t.Errorf("layers = %q, want the statement and its file", got)
		}
		manifest := must(m.Manifest())(t)
		if manifest.Subject == nil || manifest.Subject.Digest != digest || manifest.ArtifactType != "application/vnd.docker.attestation.manifest.v1+json" {
			t.Errorf("subject = %v of artifact type %q, want the image", manifest.Subject, manifest.ArtifactType)
		}
	}
}

// TestAttestSendsNothingTwice commits the index of an image that lies there already.
func TestAttestSendsNothingTwice(t *testing.T) {
	d := startDaemon(t)
	img := d.load(t, d.add(t, ociImage(t)), registry.LoadOptions{})
	digest := must(img.Digest())(t)
	attested := must(registry.Attest(t.Context(), img, []registry.Statement{statement(digest, "one")}, registry.AttestOptions{}))(t)
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
	p := newPush(t, registry.Options{}, reg.Host+"/team/app:1")
	if err := p.Upload(t.Context(), img); err != nil {
		t.Fatal(err)
	}
	before := len(reg.Requests())
	must(p.Commit(t.Context(), attested))(t)
	for _, l := range must(img.(v1.Image).Layers())(t) { //nolint:errcheck,forcetypeassert // it is one
		h := must(l.Digest())(t).String()
		if slices.ContainsFunc(reg.Requests()[before:], func(r testenv.Request) bool { return strings.Contains(r.Path, h) }) {
			t.Errorf("layer %s was asked for again: %v", h, reg.Requests()[before:])
		}
	}
}

// An unchanged project that is attested must cost next to nothing, either.
func TestAttestUnchanged(t *testing.T) {
	d := startDaemon(t)
	img := d.load(t, d.add(t, ociImage(t)), registry.LoadOptions{})
	digest := must(img.Digest())(t)
	attested := must(registry.Attest(t.Context(), img, []registry.Statement{statement(digest, "one")}, registry.AttestOptions{}))(t)
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
	tags := []string{reg.Host + "/team/app:1", reg.Host + "/team/app:latest"}
	push(t, attested, registry.Options{}, tags...)
	reg.Forget()

	p := newPush(t, registry.Options{}, tags...)
	if err := p.Upload(t.Context(), img); err != nil {
		t.Fatal(err)
	}
	for _, one := range must(p.Commit(t.Context(), attested))(t) {
		if one.Moved {
			t.Errorf("pushing %s again moved it", one.Reference)
		}
	}
	if got := reg.Requests(); len(got) > 4 {
		t.Errorf("requests for an unchanged image: %v, want 4 at most", got)
	}
}

// TestAttestJoins adds to what BuildKit has attested, in either of its forms.
func TestAttestJoins(t *testing.T) {
	for _, opt := range []registry.AttestOptions{{}, {ImageForm: true}} {
		d := startDaemon(t)
		img := d.load(t, d.add(t, ociImage(t)), registry.LoadOptions{})
		digest := must(img.Digest())(t)
		first := must(registry.Attest(t.Context(), img, []registry.Statement{statement(digest, "one")}, opt))(t)
		// What is there decides the form.
		both := must(registry.Attest(t.Context(), first, []registry.Statement{statement(digest, "two")}, registry.AttestOptions{}))(t)
		reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
		push(t, both, registry.Options{}, reg.Host+"/team/app:1")
		idx, found := pulled(t, reg.Host+"/team/app:1")
		if len(found) != 1 {
			t.Fatalf("attestation manifests = %v, want one", found)
		}
		m := must(idx.Image(found[0].Digest))(t)
		if got := layers(t, m); len(got) != 4 || got[1] != "one" || got[3] != "two" {
			t.Errorf("with %+v: layers = %q, want both statements and their files", opt, got)
		}
		if manifest := must(m.Manifest())(t); opt.ImageForm != (manifest.ArtifactType == "") {
			t.Errorf("with %+v: artifact type = %q", opt, manifest.ArtifactType)
		}
		if opt.ImageForm {
			if n := len(must(m.ConfigFile())(t).RootFS.DiffIDs); n != 4 {
				t.Errorf("the config lists %d layers, want 4", n)
			}
		}
	}
}

func TestAttestRefuses(t *testing.T) {
	d := startDaemon(t)
	img := d.load(t, d.add(t, ociImage(t)), registry.LoadOptions{})
	other := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("0", 64)}
	if _, err := registry.Attest(t.Context(), img, []registry.Statement{statement(other, "")}, registry.AttestOptions{}); err == nil || !strings.Contains(err.Error(), other.String()) {
		t.Errorf("attesting something of an image that is not there = %v, want an error that names it", err)
	}
}
