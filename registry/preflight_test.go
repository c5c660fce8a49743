package registry_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// What Check begins it also ends.
func TestCheckLeavesNothing(t *testing.T) {
	for _, auth := range []testenv.Auth{testenv.AuthNone, testenv.AuthBasic, testenv.AuthToken} {
		reg := testenv.StartRegistry(t, testenv.RegistryOptions{Auth: auth})
		p := newPush(t, registry.Options{Keychain: reg.Keychain()}, reg.Host+"/team/app:1", reg.Host+"/team/app:2", reg.Host+"/team/other:1")
		if err := p.Check(t.Context()); err != nil {
			t.Errorf("authentication %d: Check = %v, want nil", auth, err)
		}
		begun, ended := 0, 0
		for _, req := range reg.Requests() {
			switch {
			case req.Method == http.MethodPost && req.Status == http.StatusAccepted:
				begun++
			case req.Method == http.MethodDelete && req.Status == http.StatusNoContent:
				ended++
			}
		}
		if begun != 2 || ended != 2 {
			t.Errorf("authentication %d: %d uploads begun and %d cancelled, want one for each of 2 repositories", auth, begun, ended)
		}
	}
}

// A token is no permission: this server gives one to everybody.
func TestCheckFindsWhatConnectDoesNot(t *testing.T) {
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{
		Auth: testenv.AuthToken,
		Deny: func(scope string) bool { return strings.HasSuffix(scope, ":push") },
	})
	p := newPush(t, registry.Options{Keychain: reg.Keychain()}, reg.Host+"/team/app:1")
	if err := p.Connect(t.Context()); err != nil {
		t.Fatalf("Connect = %v, want nil", err)
	}
	err := p.Check(t.Context())
	var e *registry.Error
	if !errors.As(err, &e) || e.Kind != registry.KindDenied || e.Anonymous {
		t.Fatalf("Check = %#v, want an *Error of KindDenied", err)
	}
	if want := "asking to push to " + reg.Host + "/team/app"; !strings.HasPrefix(err.Error(), want) {
		t.Errorf("Check = %q, want %q…", err, want)
	}
}

func TestCheckOfNoRepository(t *testing.T) {
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{
		Wrap: fault("POST", "/blobs/uploads/", always(answering(http.StatusNotFound, `{"errors":[{"code":"NAME_UNKNOWN","message":"create it first"}]}`))),
	})
	err := newPush(t, registry.Options{}, reg.Host+"/team/app:1").Check(t.Context())
	var e *registry.Error
	if !errors.As(err, &e) || e.Kind != registry.KindNoRepository {
		t.Fatalf("Check = %v, want an *Error of KindNoRepository", err)
	}
	if n := reg.Count("POST", "/blobs/uploads/"); n != 1 {
		t.Errorf("%d requests, want 1: it will not pass", n)
	}
}
