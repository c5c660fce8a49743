package main

import (
	"net/http"
	"strings"
	"testing"

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
			Auth: testenv.AuthToken, User: "mate", Password: password,
			Deny: func(scope string) bool { return strings.HasSuffix(scope, ":push") },
		})
		step := marker()
		c := start(t, append(w.env(), login(t, readOnly.Host, "mate", password)), "run",
			"-t", readOnly.Host+"/acme/app", "-t", w.registry.Host+"/acme/app", "--untested",
			testenv.Dir(t, "Dockerfile", "FROM busybox\nRUN exec "+step+"\n"))
		c.exits(6)
		become(t, step, false)
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

// check asks every registry, with the credentials that a run would use.
func TestCheckAsksForPermission(t *testing.T) {
	w := newWorld(t, testenv.SharedDaemon(t, testenv.Rootless))
	const password = "pa55-of-the-test"
	private := testenv.StartRegistry(t, testenv.RegistryOptions{
		Auth: testenv.AuthToken, User: "mate", Password: password,
		Deny: func(scope string) bool { return scope == "repository:acme/readonly:push" },
	})
	project := testenv.Dir(t, "Dockerfile", plainDockerfile)
	args := []string{"check", "--untested", "-t", private.Host + "/acme/app:1", "-t", private.Host + "/acme/app:2", project}

	anonymous := start(t, w.env(), args...)
	anonymous.exits(6)
	for _, want := range []string{"error: push: asking to push to " + private.Host + "/acme/app: 401", "docker login " + private.Host} {
		if got := anonymous.out.String(); strings.Count(got, want) != 1 {
			t.Errorf("standard output has %q not once:\n%s", want, got)
		}
	}

	env := append(w.env(), login(t, private.Host, "mate", password))
	private.Forget()
	start(t, env, args...).exits(0)
	if begun, ended := private.Count(http.MethodPost, "/acme/app/"), private.Count(http.MethodDelete, "/acme/app/"); begun == 0 || ended < 1 {
		t.Errorf("%d uploads begun, %d cancelled", begun, ended)
	}
	if n := private.Count(http.MethodPut, ""); n != 0 {
		t.Errorf("a check wrote %d times, want never", n)
	}

	refused := start(t, env, append(args, "-t", private.Host+"/acme/readonly")...)
	refused.exits(6)
	if got := refused.out.String(); !strings.Contains(got, "may not push to "+private.Host+"/acme/readonly") || strings.Contains(got, "/acme/app:") {
		t.Errorf("standard output = %q, want the refusal of acme/readonly alone", got)
	}
}
