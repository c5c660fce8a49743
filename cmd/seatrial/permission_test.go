package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// A token server that gives a token for everything, of which the registry then
// wants to know nothing: that is found out while the image is built, and ends it.
func TestPushRefusedWhileBuilding(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		const password = "pa55-of-the-test"
		readOnly := testenv.StartRegistry(t, testenv.RegistryOptions{
			Auth: testenv.AuthToken, User: "captain", Password: password,
			Deny: func(scope string) bool { return strings.HasSuffix(scope, ":push") },
		})
		step := marker()
		c := start(t, append(w.env(), login(t, readOnly.Host, "captain", password)), "run",
			"-t", readOnly.Host+"/acme/app", "-t", w.registry.Host+"/acme/app", "--untested",
			testenv.Dir(t, "Dockerfile", "FROM busybox\nRUN exec "+step+"\n"))
		c.exits(6)
		become(t, step, false, 10*time.Second)
		c.says("asking to push to "+readOnly.Host+"/acme/app", "may not push to", "no tag moved")
		if n := readOnly.Count("PUT", "") + readOnly.Count("PATCH", ""); n != 0 {
			t.Errorf("%d uploads were tried, want none", n)
		}
	})
}

// asked is how a push that begins after it was asked for permission, or before,
// takes the answer of a registry that refuses.
func asked(t *testing.T, begun bool) (requests int, err error) {
	t.Helper()
	reg := faulty(t, func(w http.ResponseWriter, r *http.Request) bool {
		return r.Method == http.MethodPost && refuse(w, http.StatusForbidden, "DENIED")
	})
	ref, err := name.ParseReference(reg.Host + "/acme/app")
	if err != nil {
		t.Fatal(err)
	}
	push, err := registry.NewPush([]name.Reference{ref}, registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &shipping{push: push, begun: make(chan struct{})}
	if begun {
		close(s.begun)
	}
	err = s.askPermission(t.Context())
	return len(reg.Requests()), err
}

func TestPermissionIsAskedForOnlyBeforeThePush(t *testing.T) {
	if n, err := asked(t, true); err != nil || n != 0 {
		t.Errorf("with an image to push: %v after %d requests, want none of either", err, n)
	}
	if n, err := asked(t, false); !refused(err) || n == 0 {
		t.Errorf("without an image: %v after %d requests, want the refusal", err, n)
	}
}
