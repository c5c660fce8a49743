package compose

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFind(t *testing.T) {
	dir := t.TempDir()
	const sut = "services:\n  sut:\n    build: .\n"
	for name, text := range map[string]string{
		"docker-compose.test.yml":        sut,
		"b.test.yaml":                    "",
		"broken.test.yml":                "services: [\n",
		"docker-compose-test.yml":        "sut:\n  build: .\n",
		"a-test.yaml":                    sut,
		"docker-compose.ci-test.yml":     "services: [\n",
		"k8s-test.yml":                   "apiVersion: v1\n",
		"image.test.yml":                 "schemaVersion: 2.0.0\n",
		"docker-compose.yml":             sut,
		"docker-compose.test.yml.bak":    sut,
		"test.yml":                       sut,
		"sub/docker-compose.test.yml":    sut,
		"directory.test.yml/placeholder": "",
	} {
		write(t, dir, name, text)
	}
	got, err := Find(dir)
	for i := range got {
		got[i] = filepath.Base(got[i])
	}
	want := []string{"a-test.yaml", "b.test.yaml", "broken.test.yml", "docker-compose-test.yml", "docker-compose.ci-test.yml", "docker-compose.test.yml"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("Find() = %q, %v, want %q", got, err, want)
	}
	if _, err := Find(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Find() in no directory = %v, want that it is not there", err)
	}
}

func TestHubEnv(t *testing.T) {
	got := HubEnv(Hub{Name: "acme/app:1", Dockerfile: "Dockerfile", Branch: "main", Commit: "abc", Message: "Say hello"})
	want := map[string]string{
		"IMAGE_NAME": "index.docker.io/acme/app:1", "DOCKER_REPO": "index.docker.io/acme/app", "DOCKER_TAG": "1",
		"SOURCE_BRANCH": "main", "SOURCE_COMMIT": "abc", "COMMIT_MSG": "Say hello", "DOCKERFILE_PATH": "Dockerfile",
		"GIT_BRANCH": "main", "GIT_TAG": "main", "GIT_SHA1": "abc",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("HubEnv() (-want +got):\n%s", diff)
	}
	got = HubEnv(Hub{Name: "registry.example:5000/app", Tag: "v1"})
	want = map[string]string{
		"IMAGE_NAME": "registry.example:5000/app:latest", "DOCKER_REPO": "registry.example:5000/app", "DOCKER_TAG": "latest",
		"SOURCE_BRANCH": "v1", "GIT_TAG": "v1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("HubEnv() of a tag (-want +got):\n%s", diff)
	}
	if got := HubEnv(Hub{}); !cmp.Equal(got, map[string]string{"IMAGE_NAME": "this"}) {
		t.Errorf("HubEnv() of nothing = %v, want the image's own name", got)
	}
}

func TestHooks(t *testing.T) {
	dir := t.TempDir()
	if got := HooksWarning(Hooks(dir)); got != "" {
		t.Errorf("without hooks the warning is %q, want none", got)
	}
	for _, name := range []string{"hooks/push", "hooks/build", "hooks/pre-commit"} {
		write(t, dir, name, "#!/bin/bash\n")
	}
	got := Hooks(dir)
	if !slices.Equal(got, []string{"hooks/build", "hooks/push"}) {
		t.Errorf("Hooks() = %q, want Docker Hub's, in its order", got)
	}
	if text := HooksWarning(got); !strings.HasPrefix(text, "hooks/build, hooks/push: ") {
		t.Errorf("HooksWarning() = %q, want it to name them", text)
	}
}
