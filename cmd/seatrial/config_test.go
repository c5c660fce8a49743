package main

import (
	"slices"
	"testing"

	"github.com/seatrial/seatrial/cmd/internal/config"
)

// TestEveryFlagIsAKey has a new flag be given a key in seatrial.yaml, or a reason not to.
func TestEveryFlagIsAKey(t *testing.T) {
	notOfProjects := []string{
		"config",             // the file itself
		"test", "test-stage", // tests
		"untested", "push", // a decision of whoever runs it
		"insecure-builder", // likewise
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
