package main

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	fakeregistry "github.com/google/go-containerregistry/pkg/registry"

	"github.com/seatrial/seatrial/hack/testenv"
)

// TestSignTellsWhere has a registry that lists referrers, one that does not, and one that
// lets nobody look into a repository that is not there yet.
func TestSignTellsWhere(t *testing.T) {
	w := newWorld(t, testenv.SharedDaemon(t, testenv.Rootless))
	private, _ := keyPair(t)
	listing := httptest.NewServer(fakeregistry.New(fakeregistry.WithReferrersSupport(true), fakeregistry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(listing.Close)
	closed := faulty(t, func(rw http.ResponseWriter, r *http.Request) bool {
		looks := strings.Contains(r.URL.Path, "/referrers/") || strings.Contains(r.URL.Path, "/manifests/sha256-")
		return looks && refuse(rw, http.StatusForbidden, "DENIED")
	})
	dir := testenv.Dir(t, "Dockerfile", plainDockerfile)
	ref := strings.TrimPrefix(listing.URL, "http://") + "/acme/signed"
	for _, tc := range []struct {
		ref  string
		more []string
		says string
	}{
		{closed.Host + "/acme/signed", []string{"--dry-run"}, ", if the registry lists no referrers"},
		{ref, nil, "as a referrer of the image"},
		{ref, []string{"--dry-run", "--test", "test true"}, "as a referrer of the image"},
		{w.registry.Host + "/acme/signed", nil, "under the tag sha256-"},
	} {
		c := start(t, w.env(), append([]string{"run", "-t", tc.ref, "--test", "true", "--sign", "key=" + private, dir}, tc.more...)...)
		c.exits(0)
		c.says(tc.ref+"  with the key "+private, tc.says)
	}
}
