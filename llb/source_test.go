package llb

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/solver/errdefs"

	"github.com/seatrial/seatrial/hack/testenv"
)

func TestReadSource(t *testing.T) {
	for _, test := range []struct {
		name       string
		files      []string
		dockerfile string
		want       string // the Dockerfile that is read
		excludes   []string
	}{
		{"default", []string{"Dockerfile", "FROM a"}, "", "FROM a", nil},
		{"lower case", []string{"dockerfile", "FROM b"}, "", "FROM b", nil},
		{"ignore file", []string{"Dockerfile", "FROM a", ".dockerignore", "# no\n/x\n!y/\n"}, "", "FROM a", []string{"x", "!y"}},
		{"own ignore file", []string{"sub/D", "FROM c", "sub/D.dockerignore", "own", ".dockerignore", "general"}, "sub/D", "FROM c", []string{"own"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := testenv.Dir(t, test.files...)
			if test.dockerfile != "" {
				test.dockerfile = filepath.Join(dir, test.dockerfile)
			}
			src, err := ReadSource(dir, test.dockerfile)
			if err != nil {
				t.Fatal(err)
			}
			if string(src.Data) != test.want || !slices.Equal(src.Excludes, test.excludes) {
				t.Errorf("ReadSource(%s) = %q with excludes %q, want %q with %q", test.name, src.Data, src.Excludes, test.want, test.excludes)
			}
		})
	}
}

func TestReadSourceErrors(t *testing.T) {
	file := filepath.Join(testenv.Dir(t, "file", ""), "file")
	for _, test := range []struct {
		name, dir, dockerfile string
		is                    error
		says                  string
	}{
		{"no context", "/nonexistent", "", fs.ErrNotExist, "/nonexistent"},
		{"context is a file", file, "", nil, "not a directory"},
		{"no Dockerfile", t.TempDir(), "", fs.ErrNotExist, "Dockerfile"},
		{"pattern", testenv.Dir(t, "Dockerfile", "FROM a", ".dockerignore", "ok\n\n[a-\n"), "", nil, `.dockerignore:3: pattern "[a-"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ReadSource(test.dir, test.dockerfile)
			if err == nil {
				t.Fatal("ReadSource() = nil error")
			}
			if test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("ReadSource() = %v, want an error that is %v", err, test.is)
			}
			if !strings.Contains(err.Error(), test.says) {
				t.Errorf("ReadSource() = %v, want it to say %q", err, test.says)
			}
		})
	}
}

func TestReadSourceRefusesHugeDockerfile(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(maxDockerfile+1), f.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSource(dir, ""); err == nil || !strings.Contains(err.Error(), "16777217 bytes") {
		t.Errorf("ReadSource(huge) = %v, want an error with the size", err)
	}
}

func TestStages(t *testing.T) {
	src := &Source{Dockerfile: "x/Dockerfile", Data: []byte("FROM a AS One\nFROM b\nFROM One AS test\n")}
	got, err := src.Stages()
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"one", "", "test"}; !slices.Equal(got, want) {
		t.Errorf("Stages() = %q, want %q", got, want)
	}

	src.Data = []byte("FROM a\nRNU x\n")
	_, err = src.Stages()
	sources := errdefs.Sources(err)
	if len(sources) != 1 || sources[0].Info.Filename != "Dockerfile" || sources[0].Ranges[0].Start.Line != 2 {
		t.Errorf("Stages() = %v with sources %v, want line 2 of Dockerfile", err, sources)
	}
}

func TestIsRemote(t *testing.T) {
	for context, want := range map[string]bool{
		".": false, "../app": false, "github.com": false, "": false,
		"https://github.com/a/b.git#main:sub": true, "git@github.com:a/b.git": true, "ssh://git@host/a.git": true,
		"http://host/context.tar.gz": true, "git://host/a": true,
	} {
		if got := IsRemote(context); got != want {
			t.Errorf("IsRemote(%q) = %v, want %v", context, got, want)
		}
	}
}

func TestUnserved(t *testing.T) {
	for ref, want := range map[string]bool{
		"docker/dockerfile":                         true,
		"docker/dockerfile:1":                       true,
		"docker.io/docker/dockerfile:latest":        true,
		"docker/dockerfile:1.4":                     true,
		"docker/dockerfile:1.28.2":                  true,
		"docker/dockerfile:1.29":                    false,
		"docker/dockerfile:2":                       false,
		"docker/dockerfile:1-labs":                  false,
		"docker/dockerfile:master":                  false,
		"docker/dockerfile-upstream:master":         false,
		"example.com/docker/dockerfile:1":           false,
		"example.com/my/frontend":                   false,
		"docker/dockerfile:1.7@sha256:" + zeroes:    true,
		"docker/dockerfile:1.99.0@sha256:" + zeroes: false,
		"Not A Reference":                           false,
	} {
		if got := unserved(ref) == ""; got != want {
			t.Errorf("unserved(%q) = %q, want it served: %v", ref, unserved(ref), want)
		}
	}
}

const zeroes = "0000000000000000000000000000000000000000000000000000000000000000"
