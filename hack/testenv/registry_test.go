package testenv_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/seatrial/seatrial/hack/testenv"
)

func TestBusyboxImage(t *testing.T) {
	img := testenv.BusyboxImage(t)
	if err := validate.Image(img); err != nil {
		t.Errorf("validating image: %v", err)
	}
	first, again := digest(t, img), digest(t, testenv.BusyboxImage(t))
	if first != again {
		t.Errorf("digest = %s, and then %s", first, again)
	}
}

// The image's shell and commands must run.
func TestBusyboxImageRuns(t *testing.T) {
	dir := t.TempDir()
	files := mutate.Extract(testenv.BusyboxImage(t))
	defer files.Close()
	untar := exec.Command("tar", "-x", "--no-same-owner", "-C", dir)
	untar.Stdin = files
	if out, err := untar.CombinedOutput(); err != nil {
		t.Fatalf("unpacking: %v: %s", err, out)
	}
	cmd := exec.Command(filepath.Join(dir, "bin/busybox"), "sh", "-c", "echo hello | grep -c hello")
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "1\n" {
		t.Errorf("running sh = %q, %v", out, err)
	}
	if link, err := os.Readlink(filepath.Join(dir, "bin/sh")); err != nil || link != "busybox" {
		t.Errorf("bin/sh = %q, %v, want a link to busybox", link, err)
	}
}

func TestRegistries(t *testing.T) {
	img := testenv.RandomImage(t, 2, 5000)
	for _, opt := range []testenv.RegistryOptions{
		{},
		{Auth: testenv.AuthBasic},
		{Auth: testenv.AuthToken},
		{TLS: true},
		{TLS: true, Auth: testenv.AuthToken},
	} {
		reg := testenv.StartRegistry(t, opt)
		options := []remote.Option{
			remote.WithAuthFromKeychain(reg.Keychain()),
			remote.WithTransport(reg.Transport(nil)),
		}
		ref := testenv.Push(t, reg.Host+"/team/app:1", img, options...)
		check(t, ref, options...)
		if _, err := remote.Get(ref, remote.WithTransport(reg.Transport(nil))); (err == nil) != (opt.Auth == testenv.AuthNone) {
			t.Errorf("%+v: reading without credentials = %v", opt, err)
		}
		if reg.Count(http.MethodPut, "/manifests/1") != 1 {
			t.Errorf("%+v: requests %v, want one for the tag", opt, reg.Requests())
		}
		if (len(reg.Scopes()) > 0) != (opt.Auth == testenv.AuthToken) {
			t.Errorf("%+v: scopes %v", opt, reg.Scopes())
		}
	}
}

func TestDebianRegistry(t *testing.T) {
	reg := testenv.StartDebianRegistry(t)
	check(t, testenv.Push(t, reg.Host+"/app:1", testenv.RandomImage(t, 1, 5000)))
}

func check(t *testing.T, ref name.Digest, options ...remote.Option) {
	t.Helper()
	img, err := remote.Image(ref, options...)
	if err != nil {
		t.Fatalf("pulling %s: %v", ref, err)
	}
	if err := validate.Image(img); err != nil {
		t.Errorf("validating %s: %v", ref, err)
	}
}

func digest(t *testing.T, img v1.Image) v1.Hash {
	t.Helper()
	h, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return h
}
