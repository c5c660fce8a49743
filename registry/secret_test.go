package registry_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// A gateway in front of a registry may quote what it was sent, and CI keeps its logs.
func TestErrorsDoNotQuoteCredentials(t *testing.T) {
	a := loaded(t)
	for _, says := range []string{"you sent %s", "unknown user captain with password s3cret (%s)", `{"header": "%s"}`} {
		reg := testenv.StartRegistry(t, testenv.RegistryOptions{
			Auth: testenv.AuthBasic,
			Wrap: fault("POST", "/blobs/uploads/", always(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusForbidden)
				fmt.Fprintf(w, `{"errors":[{"code":"DENIED","message":%q}]}`, fmt.Sprintf(says, r.Header.Get("Authorization")))
			})),
		})
		err := newPush(t, registry.Options{Attempts: 1, Keychain: reg.Keychain()}, reg.Host+"/app:1").Upload(t.Context(), a)
		if err == nil {
			t.Fatal("the upload was not refused")
		}
		for _, secret := range []string{"s3cret", base64.StdEncoding.EncodeToString([]byte("captain:s3cret"))} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error %q has %s in it", err, secret)
			}
		}
	}
}
