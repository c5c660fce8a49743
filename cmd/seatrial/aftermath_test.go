package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/seatrial/seatrial/hack/testenv"
)

const registryPassword = "pa55-of-the-test"

// pushNoise begins to push an image that no other run makes.
func pushNoise(t *testing.T, env []string, refs ...string) *command {
	t.Helper()
	args := []string{"run", "--test", "true", noise(t)}
	for _, ref := range refs {
		args = append(args, "-t", ref)
	}
	return start(t, env, args...)
}

// aftermath looks at what a push leaves behind that is disturbed. Whatever is done to it,
// every tag names what it named before, or the new image and all of it, as the exit code
// and the output say; no secret is told, and no file stays.
type aftermath struct {
	reg    *testenv.Registry
	host   string   // under which the push reaches it
	tmp    string   // where the push has its temporary files
	refs   []string // that it is for
	before []string // what they name
}

// push begins to push a new image.
func (a *aftermath) push(t *testing.T, env []string) *command {
	t.Helper()
	a.tmp = t.TempDir()
	for _, ref := range a.refs {
		a.before = append(a.before, digestOf(t, a.there(ref), a.reg))
	}
	return pushNoise(t, append(slices.Clip(env), "TMPDIR="+a.tmp), a.refs...)
}

// there is a reference as the registry itself has it.
func (a *aftermath) there(ref string) string {
	return strings.Replace(ref, a.host, a.reg.Host, 1)
}

// check waits for the end of the push, which should exit with a code, and have moved all
// references, or none, or all but one.
func (a *aftermath) check(t *testing.T, c *command, code int, stays string) {
	t.Helper()
	c.exits(code)
	var printed strings.Builder
	for i, ref := range a.refs {
		want := code == 0 || code == 7 && ref != stays
		if moved := digestOf(t, a.there(ref), a.reg) != a.before[i]; moved != want {
			t.Errorf("exit code %d, and that %s moved is %v", code, ref, moved)
		}
		switch {
		case want:
			printed.WriteString(ref + "@" + named(t, a.there(ref), a.reg) + "\n")
			c.says("pushed  " + ref + "  tag moved")
		case code == 7:
			c.says("failed  "+ref+"  tag not moved", "moved already: ")
		default:
			c.says("no tag moved")
		}
	}
	if c.out.String() != printed.String() {
		t.Errorf("standard output = %q, want those that moved: %q", c.out.String(), printed.String())
	}
	all := c.out.String() + c.stderr()
	if strings.Contains(all, registryPassword) || strings.Contains(all, "eyJ") || strings.ContainsAny(all, "\x1b\x07") {
		t.Errorf("the output tells a password or token, or drives the terminal:\n%q", all)
	}
	if files, err := os.ReadDir(a.tmp); err != nil || len(files) > 0 {
		t.Errorf("files left behind: %v, %v", files, err)
	}
}

// named is the digest that a reference names.
func named(t *testing.T, ref string, reg *testenv.Registry) string {
	t.Helper()
	parsed, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	desc, err := remote.Head(parsed, remote.WithAuthFromKeychain(reg.Keychain()))
	if err != nil {
		t.Fatal(err)
	}
	return desc.Digest.String()
}

// digestOf is the image that a reference names, or that of the index, which is all
// there.
func digestOf(t *testing.T, ref string, reg *testenv.Registry) string {
	t.Helper()
	parsed, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(parsed, remote.WithAuthFromKeychain(reg.Keychain()))
	if err == nil {
		err = validate.Image(img)
	}
	if err != nil {
		t.Fatalf("validating %s: %v", ref, err)
	}
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}
