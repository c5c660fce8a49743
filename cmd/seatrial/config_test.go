package main

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/solver/errdefs"

	"github.com/seatrial/seatrial/cmd/internal/config"
	"github.com/seatrial/seatrial/testsuite"
)

// TestEveryFlagIsAKey has a new flag be given a key in seatrial.yaml, or a reason not to.
func TestEveryFlagIsAKey(t *testing.T) {
	notOfProjects := []string{
		"config",                          // the file itself
		"test", "test-stage", "test-file", // tests
		"untested", "push", // a decision of whoever runs it
		"insecure-builder", "dry-run", "shell-on-failure", // likewise
		"fulcio-url", "rekor-url", "tsa-url", "signing-config", // of whoever signs
		// Of whoever pushes, from where they are.
		"registry-user", "registry-password-stdin", "registry-password-file", "pull-user", "pull-password-file",
		"registry-ca", "registry-certs", "insecure-registry",
		"progress", "quiet", "debug", "help",
	}
	var flags []string
	for _, f := range runCommand(Streams{}).VisibleFlags() {
		flags = append(flags, f.Names()[0])
	}
	for _, key := range config.Keys() {
		if !slices.Contains(flags, key.Flag) {
			t.Errorf("%s stands for --%s, which run does not have", key.Name, key.Flag)
		}
	}
	for _, flag := range flags {
		known := slices.ContainsFunc(config.Keys(), func(k config.Key) bool { return k.Flag == flag })
		if known == slices.Contains(notOfProjects, flag) {
			t.Errorf("--%s has a key in seatrial.yaml: %v; is that what was decided?", flag, known)
		}
	}
}

// TestBlame finds the lines of errors that know nothing of the file.
func TestBlame(t *testing.T) {
	file, err := config.Load("f", []byte("image: Bad::Ref\nbuild:\n  shm-size: lots\n  args: {A: b}\n  platforms: [linux/amd64, lots]\n  secrets:\n    b: {src: keys/b}\n    a: {src: keys/a}\n"))
	if err != nil {
		t.Fatal(err)
	}
	none := func(string) (string, error) { return "", errors.New("not here") }
	pr := &project{
		file: file, applied: file.Settings(none), given: map[string]origin{"build-arg": {Kind: "flag"}},
		stages: map[string]config.Pos{"app": {Line: 9, Column: 1}},
	}
	for _, test := range []struct {
		text string
		line int // 0: nobody is to blame
	}{
		{`invalid reference "Bad::Ref"`, 1},
		{`--shm-size "lots" is no size`, 3},
		{`--platform "lots": what`, 5},
		{`--platform is wrong`, 5},
		{`--build-arg "A=b" is wrong`, 4},
		{`--build-arg "=c" has no name`, 0}, // the command line's
		{`--secret: stat keys/b: no such file`, 7},
		{`--secret: stat keys/c: no such file`, 0},
		{`--ulimit "lots"`, 0},
		{`there is no name`, 0},
	} {
		var e *errdefs.SourceError
		line := 0
		if errors.As(pr.blame(usagef("", "%s", test.text)), &e) {
			line = int(e.Ranges[0].Start.Line)
		}
		if line != test.line {
			t.Errorf("blame(%s) shows line %d, want %d", test.text, line, test.line)
		}
	}
	unknown := usagef("", "%w", &testsuite.UnknownStageError{Stage: "app"})
	if got := pr.blame(unknown).Error(); !strings.HasPrefix(got, "f:9:1: no stage") {
		t.Errorf("blame(%v) = %s, want line 9", unknown, got)
	}
}

func TestImageName(t *testing.T) {
	for _, test := range []struct{ remote, dir, want string }{
		{"git@github.com:Acme/Harbour_API.git", "x", "ghcr.io/acme/harbour-api"},
		{"https://captain:s3cret@github.com/acme/api", "x", "ghcr.io/acme/api"},
		{"ssh://git@gitlab.com/acme/group/api.git", "x", "registry.gitlab.com/acme/group/api"},
		{"https://git.example.com/acme/api.git", "x", "acme/api"},
		{"", "/srv/My App", "my-app"},
		{"../elsewhere", "/srv/a", "a"},
		{"", "/", "app"},
	} {
		if got := imageName(test.remote, test.dir); got != test.want {
			t.Errorf("imageName(%q, %q) = %q, want %q", test.remote, test.dir, got, test.want)
		}
	}
}

func TestStarter(t *testing.T) {
	for _, test := range []struct {
		stages []string
		script bool
		tests  []string
		target string
	}{
		{[]string{""}, false, nil, ""},
		{[]string{"base", "Test", ""}, false, []string{"stage: test"}, ""},
		{[]string{"base", "app", "unit-tests"}, true, []string{"stage: unit-tests", "./test.sh"}, "app"},
		{[]string{"latest", "contest"}, false, nil, ""},
	} {
		tests, target := starter{stages: test.stages, script: test.script}.tests()
		if !slices.Equal(tests, test.tests) || target != test.target {
			t.Errorf("tests() for %q = %q, %q, want %q, %q", test.stages, tests, target, test.tests, test.target)
		}
	}
}
