package registry_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	fakeregistry "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// Registries say in many ways that they have no referrers API: what is put there has to
// be found again all the same, or the signature of an image that was pushed is lost.
func TestReferWithoutReferrersAPI(t *testing.T) {
	for what, answer := range map[string]func(w http.ResponseWriter){
		"404": func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) },
		"400": func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadRequest) },
		"403": func(w http.ResponseWriter) { w.WriteHeader(http.StatusForbidden) }, // to a token for the manifests only
		"405": func(w http.ResponseWriter) { w.WriteHeader(http.StatusMethodNotAllowed) },
		"501": func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotImplemented) },
		"406": func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotAcceptable) }, // Artifactory's
		"410": func(w http.ResponseWriter) { w.WriteHeader(http.StatusGone) },
		"303 to a page": func(w http.ResponseWriter) {
			w.Header().Set("Location", "/login")
			w.WriteHeader(http.StatusSeeOther)
		},
		"200 and JSON": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"message":"welcome"}`)
		},
		"200 and a page": func(w http.ResponseWriter) { // some send every unknown address to their pages
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<html></html>")
		},
	} {
		t.Run(what, func(t *testing.T) {
			reg := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if strings.Contains(r.URL.Path, "/referrers/") {
						answer(w)
						return
					}
					if r.URL.Path == "/login" {
						fmt.Fprint(w, "<html></html>")
						return
					}
					next.ServeHTTP(w, r)
				})
			}})
			d := startDaemon(t)
			img := d.load(t, d.add(t, ociImage(t)), registry.LoadOptions{})
			push(t, img, registry.Options{}, reg.Host+"/team/app:1")
			repo := must(name.NewRepository(reg.Host + "/team/app"))(t)
			opt := registry.Options{Attempts: 1}
			const kind = "application/vnd.example.word"
			// Before there is any, only a registry that may have a list and does not show it
			// leaves open whether there are some.
			none, err := must(registry.NewReader(t.Context(), repo, opt))(t).Referrers(t.Context(), must(img.Digest())(t), kind)
			if len(none) != 0 || (err != nil) != (what == "403") {
				t.Errorf("Referrers of what has none = %q, %v", none, err)
			}
			notes := map[string]string{"org.example.note": "kept"}
			for _, word := range []string{"word", "other word", "word"} {
				r := registry.Referrer{Type: kind, Data: []byte(word), Annotations: notes}
				if _, err := registry.Refer(t.Context(), repo, img, r, opt); err != nil {
					t.Fatalf("Refer: %v", err)
				}
			}
			found := must(must(registry.NewReader(t.Context(), repo, opt))(t).Referrers(t.Context(), must(img.Digest())(t), kind))(t)
			if len(found) != 2 || string(found[0]) != "word" || string(found[1]) != "other word" {
				t.Errorf("Referrers = %q, want the words that were put there, each once", found)
			}
			tag := repo.Tag(strings.Replace(must(img.Digest())(t).String(), ":", "-", 1))
			idx := must(must(remote.Index(tag))(t).IndexManifest())(t)
			for _, d := range idx.Manifests {
				if d.ArtifactType != kind || d.Annotations["org.example.note"] != "kept" {
					t.Errorf("%s lists %+v, want its type and annotations", tag, d)
				}
			}
		})
	}
}

// A registry that says that it has noted the subject needs no tag, which is one more in
// its list of them.
func TestReferTagsNothingWithOCISubject(t *testing.T) {
	api := fakeregistry.New(fakeregistry.WithReferrersSupport(true), fakeregistry.Logger(log.New(io.Discard, "", 0)))
	for says, want := range map[string]bool{"subject": false, "list": false, "nothing": true} {
		t.Run(says, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if says == "subject" && r.Method == http.MethodPut {
					w.Header().Set("OCI-Subject", "sha256:0000")
				}
				if says != "list" && strings.Contains(r.URL.Path, "/referrers/") {
					w.WriteHeader(http.StatusNotFound)
					return
				}
				api.ServeHTTP(w, r)
			}))
			t.Cleanup(server.Close)
			d := startDaemon(t)
			img := d.load(t, d.add(t, ociImage(t)), registry.LoadOptions{})
			repo := must(name.NewRepository(strings.TrimPrefix(server.URL, "http://") + "/team/" + says))(t)
			r := registry.Referrer{Type: "application/vnd.example.word", Data: []byte("word")}
			tag := repo.Tag(strings.Replace(must(img.Digest())(t).String(), ":", "-", 1))
			told := must(registry.Refer(t.Context(), repo, img, r, registry.Options{Attempts: 1}))(t)
			if (told != nil) != want || told != nil && *told != tag {
				t.Errorf("Refer tells of %v, want %s: %t", told, tag, want)
			}
			if _, err := remote.Head(tag); (err == nil) != want {
				t.Errorf("looking for %s: %v, want it to be there: %t", tag, err, want)
			}
		})
	}
}
