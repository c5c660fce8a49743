package registry_test

import (
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	fakeregistry "github.com/google/go-containerregistry/pkg/registry"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// TestReader reads what Attest and Refer have written, with and without a referrers
// API: registries that run here have none, so one is go-containerregistry's own.
func TestReader(t *testing.T) {
	api := httptest.NewServer(fakeregistry.New(fakeregistry.WithReferrersSupport(true), fakeregistry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(api.Close)
	for host, listsReferrers := range map[string]bool{
		strings.TrimPrefix(api.URL, "http://"):                   true,
		testenv.StartRegistry(t, testenv.RegistryOptions{}).Host: false,
		testenv.StartDebianRegistry(t).Host:                      false,
	} {
		d := startDaemon(t)
		img := d.load(t, d.add(t, ociImage(t)), registry.LoadOptions{})
		digest := must(img.Digest())(t)
		attested := must(registry.Attest(t.Context(), img, []registry.Statement{statement(digest, "one")}, registry.AttestOptions{}))(t)
		ref := must(name.ParseReference(host + "/team/app:1"))(t)
		const kind = "application/vnd.example.signature"
		// As a signature does, it comes before its subject.
		for _, text := range []string{"first", "second"} {
			_, err := registry.Refer(t.Context(), ref.Context(), attested, registry.Referrer{Type: kind, Data: []byte(text)}, registry.Options{})
			if err != nil {
				t.Fatalf("Refer to %s: %v", ref, err)
			}
		}
		push(t, attested, registry.Options{}, ref.String())

		r := must(registry.NewReader(t.Context(), ref.Context(), registry.Options{}))(t)
		found := must(r.Attested(t.Context(), ref, testPredicate))(t)
		if found.Digest != must(attested.Digest())(t) || !found.Index || len(found.Images) != 1 || found.Images[0].Digest != digest {
			t.Fatalf("Attested(%s) = %+v, want one image, %s", ref, found, digest)
		}
		if got := found.Images[0].Statements; len(got) != 1 || !strings.Contains(string(got[0]), "one") {
			t.Errorf("Attested(%s) found %q, want the statement", ref, got)
		}
		if other := must(r.Attested(t.Context(), ref, "https://example.org/other"))(t); len(other.Images[0].Statements) != 0 {
			t.Errorf("statements of another type = %q", other.Images[0].Statements)
		}
		alone := must(r.Attested(t.Context(), ref.Context().Digest(digest.String()), testPredicate))(t)
		if alone.Index || len(alone.Images) != 1 || (len(alone.Images[0].Statements) == 1) != listsReferrers {
			t.Errorf("Attested of the image alone in %s = %+v", host, alone)
		}
		refer := must(r.Referrers(t.Context(), found.Digest, kind))(t)
		if len(refer) != 2 || string(refer[0])+string(refer[1]) != "firstsecond" && string(refer[0])+string(refer[1]) != "secondfirst" {
			t.Errorf("Referrers in %s = %q, want both", host, refer)
		}
	}
}
