package compose

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seatrial/seatrial/testsuite"
)

// TestLoadBuilds has images beside the one under test, each once.
func TestLoadBuilds(t *testing.T) {
	f, err := Load(t.Context(), "testdata/good/builds.test.yml", options())
	if err != nil {
		t.Fatal(err)
	}
	tests := &testsuite.Build{Context: good(t, "."), Dockerfile: good(t, "Dockerfile.test"), Args: map[string]string{"A": "1", "MODE": "fast"}}
	other := &testsuite.Build{Context: good(t, "other"), Dockerfile: good(t, "other/Dockerfile")}
	target := &testsuite.Build{Context: good(t, "other"), Dockerfile: good(t, "other/Dockerfile"), Target: "x"}
	if diff := cmp.Diff([]*testsuite.Build{tests, other, target}, f.Builds); diff != "" {
		t.Errorf("Builds (-want +got):\n%s", diff)
	}
	want := map[string]*testsuite.Build{"one": other, "two": target, "three": other, "four": other, "five": nil}
	got := map[string]*testsuite.Build{}
	for _, s := range f.Test.Services {
		got[s.Name] = s.From.Build
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the services' builds (-want +got):\n%s", diff)
	}
	if f.Test.Services[0].From != f.Test.Services[2].From {
		t.Error("two services with the same build have one each, want them to share it")
	}
}

// TestImageUnderTest has the many ways to say it, and what is not quite it.
func TestImageUnderTest(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "Dockerfile", "FROM scratch\n")
	write(t, dir, "docker/Dockerfile", "FROM scratch\n")
	write(t, dir, "sub/Dockerfile", "FROM scratch\n")
	opt := Options{
		ContextDir: dir, Names: []string{"acme/app:2"}, Target: "prod", BuildArgs: map[string]string{"A": "1"},
		Env: map[string]string{"IMAGE_NAME": "index.docker.io/acme/app:2", "A": "1", "B": "2"},
	}
	docker := opt
	docker.Dockerfile = dir + "/docker/Dockerfile"
	remote := opt
	remote.ContextDir = ""
	image, built := testsuite.Source{}, testsuite.Source{Build: &testsuite.Build{}}
	for _, test := range []struct {
		sut  string
		opt  Options
		want testsuite.Source // Build: any
	}{
		{"build: .", opt, image},
		{"build: {}", opt, image},
		{"build: ./sub/..", opt, image},
		{"build: .\nimage: whatever", opt, image},
		{"build: {context: ., dockerfile: Dockerfile}", opt, image},
		{"build: {context: ., dockerfile: ./Dockerfile, target: prod}", opt, image},
		{"build: {context: ., args: {A: 1}}", opt, image},
		{"build: {context: ., args: [A, UNSET]}", opt, image},
		{"image: this", opt, image},
		{"image: acme/app:2", opt, image},
		{"image: $IMAGE_NAME", opt, image},
		{"image: docker.io/acme/app:2", opt, image},
		{"build: {context: ., dockerfile: docker/Dockerfile}", docker, image},
		{"build: .", remote, image},
		{"build: {context: ., target: test}", opt, testsuite.Source{Stage: "test"}},
		{"build: {context: ., target: test, args: {A: 1}}", opt, testsuite.Source{Stage: "test"}},
		{"image: acme/app:1", opt, testsuite.Source{Image: "acme/app:1"}},
		{"image: acme/app", opt, testsuite.Source{Image: "acme/app"}},
		{"build: .", docker, built},
		{"build: ./sub", opt, built},
		{"build: {context: ., args: {A: 2}}", opt, built},
		{"build: {context: ., args: [B]}", opt, built},
		{"build: {context: ., target: prod, args: {C: 2}}", opt, built},
		{"build: {context: ., dockerfile_inline: FROM this}", opt, built},
		{"build: https://github.com/acme/app.git", opt, built},
	} {
		file := write(t, dir, "x.test.yml", "services:\n  sut:\n    "+strings.ReplaceAll(test.sut, "\n", "\n    ")+"\n")
		f, err := Load(t.Context(), file, test.opt)
		if err != nil {
			t.Errorf("Load(%s) = %v", test.sut, err)
			continue
		}
		got := f.Test.From
		if got.Build != nil && test.want.Build != nil {
			continue
		}
		if got != test.want {
			t.Errorf("Load(%s) is from %+v, want %+v", test.sut, got, test.want)
		}
	}
}

// TestRemoteBuild keeps what a directory would be joined to.
func TestRemoteBuild(t *testing.T) {
	file := write(t, t.TempDir(), "x.test.yml", "services:\n  sut:\n    build:\n      context: https://github.com/acme/app.git#main\n      dockerfile: docker/Dockerfile\n")
	f, err := Load(t.Context(), file, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := &testsuite.Build{Context: "https://github.com/acme/app.git#main", Dockerfile: "docker/Dockerfile"}
	if diff := cmp.Diff(want, f.Test.From.Build); diff != "" {
		t.Errorf("Build (-want +got):\n%s", diff)
	}
}

// TestMountNeedsADirectory has a build context that is not on this machine.
func TestMountNeedsADirectory(t *testing.T) {
	file := write(t, t.TempDir(), "x.test.yml", "services:\n  sut:\n    build: .\n    volumes: [.:/src]\n")
	if _, err := Load(t.Context(), file, Options{}); err == nil || !strings.Contains(err.Error(), "4:15: . cannot be mounted") {
		t.Errorf("Load() = %v, want that . cannot be mounted", err)
	}
}

// TestBuildsNotHonoured tells by name and line what a build does not get; for the image
// under test, which flag is for it.
func TestBuildsNotHonoured(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "Dockerfile", "FROM scratch\n")
	write(t, dir, "side/Dockerfile", "FROM scratch\n")
	file := write(t, dir, "x.test.yml", `services:
  sut:
    build:
      context: .
      secrets: [s]
      isolation: hyperv
    depends_on: [side, again]
  side:
    build:
      context: side
      no_cache: true
      pull: true
      platforms: [linux/amd64]
      labels: {a: b}
      cache_from: [x]
      tags: [acme/side]
    image: side
  again: {image: side}
secrets:
  s: {environment: S}
`)
	f, err := Load(t.Context(), file, Options{ContextDir: dir, Env: map[string]string{"S": "s"}})
	if err != nil {
		t.Fatal(err)
	}
	at := func(line int, msg, hint string) Finding {
		return Finding{File: file, Line: line, Column: 7, Msg: msg, Hint: hint}
	}
	want := []Finding{
		at(5, "build.secrets of sut is not honoured: the image under test is built as the command line says", "--secret says so there"),
		at(6, "build.isolation of sut is not honoured: the image under test is built as the command line says", ""),
		at(11, "build.no_cache of side is not honoured: steps that have not changed come from the cache", ""),
		at(12, "build.pull of side is not honoured: --pull is for all images", ""),
		at(13, "build.platforms of side is not honoured: it is built for the platform of the image under test", ""),
		at(14, "build.labels of side is not honoured: the image has no labels", ""),
		at(15, "build.cache_from of side is not honoured: the builder's own cache is used", ""),
		at(16, "build.tags of side is not honoured: the image is for the test alone", ""),
	}
	if diff := cmp.Diff(want, f.Warnings); diff != "" {
		t.Errorf("Warnings (-want +got):\n%s", diff)
	}
}
