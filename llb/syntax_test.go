package llb

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/subrequests/targets"
	"github.com/moby/buildkit/solver/errdefs"
)

const (
	digestA = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	digestB = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
)

// TestSyntax tells for syntax lines what is run for them, given what is allowed.
func TestSyntax(t *testing.T) {
	for _, test := range []struct {
		line, allowed string
		want          string // "": the built-in converter
		refused       string // why
	}{
		{line: "docker/dockerfile"},
		{line: "docker/dockerfile:1"},
		{line: "docker/dockerfile:latest"},
		{line: "docker.io/docker/dockerfile:1.4"},
		{line: "docker/dockerfile:1.28.3"},
		{line: "docker/dockerfile:1.7@" + digestA},
		{line: "docker/dockerfile:1", allowed: "docker/dockerfile"},
		{line: "docker/dockerfile:1.29", refused: "has syntax 1.28"},
		{line: "docker/dockerfile:2", refused: "has syntax 1.28"},
		{line: "docker/dockerfile:master", refused: "has syntax 1.28"},
		{line: "docker/dockerfile:1-labs", refused: "not the labs channel"},
		{line: "docker/dockerfile@" + digestA, refused: "a digest alone"},
		{line: "docker/dockerfile-upstream:1", refused: "only docker/dockerfile is built in"},
		{line: "ghcr.io/docker/dockerfile:1", refused: "only docker/dockerfile is built in"},
		{line: "No/Image", refused: "not an image reference"},
		{line: "No/Image", allowed: "no/image", refused: "no image has such a name"},

		{line: "docker/dockerfile:1-labs", allowed: "docker/dockerfile", want: "docker/dockerfile:1-labs"},
		{line: "docker/dockerfile:1.29", allowed: "docker/dockerfile:1.29", want: "docker/dockerfile:1.29"},
		{line: "front", allowed: "docker.io/library/front", want: "front"},
		{line: "docker.io/front:2", allowed: "front", want: "docker.io/front:2"},
		{line: "acme/front", allowed: "acme/front:latest", want: "acme/front"},
		{line: "acme/front:2", allowed: "acme/other,acme/front:1,acme/front:2", want: "acme/front:2"},
		{line: "acme/front:1", allowed: "acme/front:2", refused: "what is allowed is acme/front:2"},
		{line: "acme/front:1", allowed: "ghcr.io/acme/front", refused: "what is allowed is ghcr.io/acme/front"},
		{line: "acme/frontier", allowed: "acme/front", refused: "what is allowed is acme/front"},
		{line: "acme/front@" + digestA, allowed: "acme/front", want: "acme/front@" + digestA},
		{line: "acme/front@" + digestA, allowed: "acme/front@" + digestA, want: "acme/front@" + digestA},
		{line: "acme/front:9@" + digestA, allowed: "acme/front:1@" + digestA, want: "acme/front:9@" + digestA},
		{line: "acme/front@" + digestB, allowed: "acme/front@" + digestA, refused: "what is allowed is acme/front@" + digestA},
		{line: "acme/front:1@" + digestB, allowed: "acme/front:1", refused: "what is allowed is acme/front:1"},
		{line: "acme/front:1", allowed: "acme/front@" + digestA, want: "acme/front:1"}, // until it is resolved
	} {
		var opt Options
		for _, s := range strings.FieldsFunc(test.allowed, func(r rune) bool { return r == ',' }) {
			a, err := ParseAllowedFrontend(s)
			if err != nil {
				t.Fatalf("ParseAllowedFrontend(%q): %v", s, err)
			}
			opt.AllowFrontends = append(opt.AllowFrontends, a)
		}
		src := &Source{Dockerfile: "Dockerfile", Data: []byte("# syntax=" + test.line + "\nFROM scratch\n")}
		got, err := src.Syntax(opt)
		if test.refused == "" {
			if err != nil || got.Asked != test.line || got.Frontend != test.want {
				t.Errorf("Syntax(%s) with %q = %+v, %v, want the frontend %q", test.line, test.allowed, got, err, test.want)
			}
			continue
		}
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || !strings.Contains(syntax.Reason, test.refused) || len(errdefs.Sources(err)) != 1 {
			t.Errorf("Syntax(%s) with %q = %v, want a *SyntaxError with its line that says %q", test.line, test.allowed, err, test.refused)
		}
	}
}

func TestSyntaxArgument(t *testing.T) {
	src := &Source{Dockerfile: "Dockerfile", Data: []byte("# syntax=acme/front\nFROM scratch\n")}
	got, err := src.Syntax(Options{BuildArgs: map[string]string{"BUILDKIT_SYNTAX": " docker/dockerfile:1 more words"}})
	if err != nil || got.Asked != "docker/dockerfile:1" || got.Frontend != "" {
		t.Errorf("Syntax() = %+v, %v, want the build argument to replace the line", got, err)
	}
}

func TestListed(t *testing.T) {
	got := listed([]targets.Target{{Name: "app", Default: true}, {Name: "test"}, {Name: "lint"}})
	if want := []string{"test", "lint", "app"}; !slices.Equal(got, want) {
		t.Errorf("listed() = %q, want %q: the default last", got, want)
	}
}
