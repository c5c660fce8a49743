package main

import (
	"path/filepath"
	"testing"

	"github.com/seatrial/seatrial/hack/testenv"
)

// TestSeveralBuildersPushLater has two builders make and test an image, and pushes it
// afterwards; before that, they only say what they would push.
func TestSeveralBuildersPushLater(t *testing.T) {
	w, addrs := newFleetWorld(t, testenv.Root)
	project := testenv.Dir(t, "Dockerfile", fleetDockerfile)
	ref, saved := w.registry.Host+"/acme/fleet:later", filepath.Join(t.TempDir(), "image.tar")
	c := start(t, w.env(), append([]string{"run", project, "-t", ref, "--test", "test -e /arch", "--dry-run"}, addrs...)...)
	c.exits(0)
	c.says("(linux/amd64)  passed", "(linux/386)  passed", "would  tag "+ref, "pushed  nothing: --dry-run")
	if got := resolve(t.Fatalf, ref); got != "none" {
		t.Errorf("the tag names %s after a dry run", got)
	}
	start(t, w.env(), append([]string{"test", project, "--test", "test -e /arch", "-o", "type=oci,dest=" + saved}, addrs...)...).exits(0)
	c = start(t, w.env(), "push", saved, "-t", ref)
	c.exits(0)
	c.says("test -e /arch (linux/amd64)  passed", "test -e /arch (linux/386)  passed")
	if got, want := platformsOf(t, ref), "linux/amd64 linux/386 unknown/unknown unknown/unknown"; got != want {
		t.Errorf("the index has %q, want %q", got, want)
	}
}
