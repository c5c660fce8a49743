package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/seatrial/seatrial/hack/testenv"
)

const signature = "5160a7e0f-of-the-test"

// bucketPath is where the storage behind a registry gets and gives blobs, for those
// who have a signed URL.
const bucketPath = "/bucket/"

// toBucket sends a request to the storage.
func toBucket(w http.ResponseWriter, r *http.Request, status int) {
	w.Header().Set("Location", "http://s3-user:"+signature+"@"+r.Host+bucketPath+"blob?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=key&X-Amz-Signature="+signature)
	w.WriteHeader(status)
}

// bucketSays is what the storage answers with when it does not do its part.
var bucketSays = map[string]http.HandlerFunc{
	"nothing": breakOff,
	"what a bucket says": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "<Error><Code>SignatureDoesNotMatch</Code><SignatureProvided>"+signature+"</SignatureProvided></Error>")
	},
	"what a registry says": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprintf(w, `{"errors":[{"code":"DENIED","message":"no access to http://%s%s or %s","detail":%q}]}`, r.Host, r.URL, r.URL, signature)
	},
	"a redirect to no URL": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "http://[::1/elsewhere?X-Amz-Signature="+signature)
		w.WriteHeader(http.StatusTemporaryRedirect)
	},
}

// TestSignedURLs has a registry whose storage is a bucket with signed URLs, and fails.
// Whoever sees such a URL can do there what the registry may, so nothing that seatrial
// prints or writes has it.
func TestSignedURLs(t *testing.T) {
	w := newWorld(t, testenv.SharedDaemon(t, testenv.Root))
	for _, at := range []struct {
		doing, says, progress string
		code                  int
	}{
		// That nothing comes is waited for as long as for a registry that restarts: the
		// package registry tests that with less patience.
		{"pushing", "what a bucket says", "plain", 6},
		{"pushing", "what a registry says", "rawjson", 6},
		{"pushing", "a redirect to no URL", "plain", 6},
		{"the builder pulling", "nothing", "plain", 3},
		{"the builder pulling", "what a bucket says", "rawjson", 3},
		{"the builder pulling", "what a registry says", "plain", 3},
		{"the builder pulling", "a redirect to no URL", "plain", 3},
		{"pulling", "what a registry says", "plain", 6},
		{"pulling", "a redirect to no URL", "rawjson", 6},
	} {
		t.Run(at.doing+", and the storage says "+at.says, func(t *testing.T) {
			var layer atomic.Value // of the base image
			layer.Store("no layer")
			reg := faulty(t, func(rw http.ResponseWriter, r *http.Request) bool {
				switch upload := strings.Contains(r.URL.Path, "/blobs/uploads/"); {
				case strings.HasPrefix(r.URL.Path, bucketPath):
					bucketSays[at.says](rw, r)
				case upload && r.Method == http.MethodPost && strings.Contains(r.URL.Path, "/signed/"):
					toBucket(rw, r, http.StatusAccepted)
				case strings.HasSuffix(r.URL.Path, fmt.Sprint(layer.Load())) && r.Method == http.MethodGet:
					toBucket(rw, r, http.StatusTemporaryRedirect)
				default:
					return false
				}
				return true
			})
			base, digest := newBase(t)
			testenv.Push(t, reg.Host+"/base/image", base)
			layer.Store(digest)
			from, to, dockerfile := w.registry.Host+"/library/busybox", reg.Host+"/acme/signed", "FROM base\nCOPY Dockerfile /\n"
			if at.doing != "pushing" {
				from, to = reg.Host+"/base/image", w.registry.Host+"/acme/signed"
			}
			if at.doing == "pulling" {
				dockerfile = "FROM base\nCOPY --link Dockerfile /\n" // the builder needs no layer of the base
			}
			dir := t.TempDir()
			c := start(t, w.env(), "run", "-t", to, "--untested", "--debug", "--progress", at.progress, "--build-context", "base=docker-image://"+from,
				"--result-file", filepath.Join(dir, "result.json"), testenv.Dir(t, "Dockerfile", dockerfile))
			c.exits(at.code)
			c.says(reg.Host)
			result, err := os.ReadFile(filepath.Join(dir, "result.json"))
			if err != nil {
				t.Fatal(err)
			}
			if all := c.out.String() + c.stderr() + string(result); strings.Contains(all, signature) {
				t.Errorf("the signature is in the output:\n%s", all)
			}
		})
	}
}

// newBase is an image that no builder knows, and the digest of its layer.
func newBase(t *testing.T) (v1.Image, string) {
	t.Helper()
	base := testenv.RandomImage(t, 1, 10_000)
	config, err := base.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	if base, err = mutate.ConfigFile(base, config); err != nil {
		t.Fatal(err)
	}
	layers, err := base.Layers()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	return base, digest.String()
}
