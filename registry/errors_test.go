package registry_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

func TestDenied(t *testing.T) {
	a := loaded(t)
	wrong := fixedKeychain{&authn.Basic{Username: "mallory", Password: "guess-me-not"}}
	for _, auth := range []testenv.Auth{testenv.AuthBasic, testenv.AuthToken} {
		for _, keychain := range []authn.Keychain{fixedKeychain{authn.Anonymous}, wrong} {
			reg := testenv.StartRegistry(t, testenv.RegistryOptions{Auth: auth})
			err := newPush(t, registry.Options{Keychain: keychain}, reg.Host+"/team/app:1").Upload(t.Context(), a)
			var denied *registry.Error
			if !errors.As(err, &denied) || denied.Kind != registry.KindDenied {
				t.Errorf("auth %d: Upload = %v, want KindDenied", auth, err)
				continue
			}
			want, anonymous := "with the credentials found for "+reg.Host, keychain != wrong
			if anonymous {
				want = "anonymous"
			}
			if denied.Anonymous != anonymous || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), reg.Host+"/team/app") {
				t.Errorf("auth %d: error %q, want it to name the repository and say %q", auth, err, want)
			}
			if strings.Contains(err.Error(), "guess-me-not") || strings.Contains(err.Error(), "?") {
				t.Errorf("auth %d: error %q tells too much", auth, err)
			}
		}
	}
}

func TestErrorKinds(t *testing.T) {
	a := loaded(t)
	closed := testenv.StartRegistry(t, testenv.RegistryOptions{})
	closed.Close()
	gone := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: fault("PUT", "/blobs/uploads/", always(hangUp))})
	unknown := testenv.StartRegistry(t, testenv.RegistryOptions{
		Wrap: fault("POST", "/blobs/uploads/", always(answering(404, `{"errors":[{"code":"NAME_UNKNOWN","message":"no such repository"}]}`))),
	})
	tooLarge := testenv.StartRegistry(t, testenv.RegistryOptions{
		Wrap: fault("PUT", "/blobs/uploads/", always(answering(413, "<html>too large</html>"))),
	})
	for _, tc := range []struct {
		reg    *testenv.Registry
		kind   registry.Kind
		status int
	}{
		{closed, registry.KindUnreachable, 0},
		{gone, registry.KindUnreachable, 0},
		{unknown, registry.KindNoRepository, 404},
		{tooLarge, registry.KindTooLarge, 413},
	} {
		err := newPush(t, registry.Options{Attempts: 1}, tc.reg.Host+"/app:1").Upload(t.Context(), a)
		var got *registry.Error
		if !errors.As(err, &got) || got.Kind != tc.kind || got.Status != tc.status {
			t.Errorf("Upload = %v (%+v), want kind %d and status %d", err, got, tc.kind, tc.status)
		}
	}
}

// Whatever a registry says, what we print is free of secrets and of control
// characters.
func TestErrorsAreClean(t *testing.T) {
	a := loaded(t)
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{
		Wrap: fault("POST", "/one/blobs/uploads/", always(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://user:hunter2@127.0.0.1:1/upload?signature=hunter2")
			w.WriteHeader(http.StatusAccepted)
		})),
	})
	other := testenv.StartRegistry(t, testenv.RegistryOptions{
		Wrap: fault("POST", "/blobs/uploads/", always(answering(400,
			`{"errors":[{"code":"BAD","message":"see https://user:hunter2@host/path?sig=hunter2\u001b[31m\nnext"}]}`))),
	})
	third := testenv.StartRegistry(t, testenv.RegistryOptions{
		Wrap: fault("POST", "/blobs/uploads/", always(answering(400,
			`{"errors":[{"code":"BAD","message":"bad header Authorization: Bearer hunter2, {\"Authorization\":\"Basic hunter2\"}"}]}`))),
	})
	for _, ref := range []string{reg.Host + "/one:1", other.Host + "/two:1", third.Host + "/three:1"} {
		err := newPush(t, registry.Options{Attempts: 1}, ref).Upload(t.Context(), a)
		if err == nil || strings.ContainsAny(err.Error(), "\n\x1b?") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Upload to %s = %q, want an error without secrets and control characters", ref, err)
		}
	}
}

// A registry's storage may be a bucket with signed URLs. When it fails, whoever sees
// such a URL can do there what the registry may.
func TestSignedURLsAreNotTold(t *testing.T) {
	const signature = "5160a7e0f-of-the-test"
	for name, fail := range map[string]http.HandlerFunc{
		"nothing":            hangUp,
		"what a bucket says": answering(403, "<Error><SignatureProvided>"+signature+"</SignatureProvided></Error>"),
		"what a registry says": answering(403, `{"errors":[{"code":"DENIED","message":"no access to /bucket?X-Amz-Signature=`+signature+
			` or http://s3:`+signature+`@host/bucket?X-Amz-Signature=`+signature+`","detail":"`+signature+`"}]}`),
		"a redirect to nowhere": redirecting("http://127.0.0.1:1/elsewhere?X-Amz-Signature=" + signature),
		"a redirect to no URL":  redirecting("http://[::1/elsewhere?X-Amz-Signature=" + signature),
	} {
		t.Run(name, func(t *testing.T) {
			bucket := func(w http.ResponseWriter, req *http.Request) {
				to := "http://s3:" + signature + "@" + req.Host + "/bucket/blob?X-Amz-Credential=key&X-Amz-Signature=" + signature
				w.Header().Set("Location", to)
				w.WriteHeader(map[string]int{http.MethodPost: http.StatusAccepted, http.MethodGet: http.StatusTemporaryRedirect}[req.Method])
			}
			failing := func(method string) func(http.Handler) http.Handler {
				in := fault(method, "/blobs/", always(bucket))
				return func(next http.Handler) http.Handler {
					return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
						if strings.HasPrefix(req.URL.Path, "/bucket/") {
							fail(w, req)
							return
						}
						in(next).ServeHTTP(w, req)
					})
				}
			}
			reg := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: failing("POST")})
			pushErr := newPush(t, registry.Options{Attempts: 2}, reg.Host+"/app:1").WithBackoff(time.Millisecond).Upload(t.Context(), loaded(t))

			// A layer of the base that only its registry has.
			source := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: failing("GET")})
			base, from := pushedBase(t, source)
			d := startDaemon(t)
			a := d.load(t, d.add(t, onTop(t, base), digestsOf(t, base)...), registry.LoadOptions{Bases: []registry.Base{from}})
			target := testenv.StartRegistry(t, testenv.RegistryOptions{})
			pullErr := newPush(t, registry.Options{Attempts: 2}, target.Host+"/app:1").WithBackoff(time.Millisecond).Upload(t.Context(), a)

			for _, err := range []error{pushErr, pullErr} {
				if err == nil || strings.Contains(err.Error(), signature) {
					t.Errorf("Upload = %v, want an error without the signature", err)
				}
				var e *registry.Error
				if errors.As(err, &e) && e.Status == http.StatusForbidden && (e.Kind != registry.KindStorage || !strings.Contains(err.Error(), "storage")) {
					t.Errorf("Upload = %v of kind %d, want it said of the storage", err, e.Kind)
				}
			}
		})
	}
}

func redirecting(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}
}
