package credentials

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// podman login, skopeo login and buildah login write there where XDG_RUNTIME_DIR is not
// set: as root in a container, so in most pipelines.
func TestPodmanWithoutARuntimeDirectory(t *testing.T) {
	env := map[string]string{"HOME": "/home/mate"}
	want := fmt.Sprintf("/run/containers/%d/auth.json", os.Getuid())
	if got := files(func(name string) string { return env[name] }); !slices.Contains(got, want) {
		t.Errorf("files = %q, want %s among them", got, want)
	}
	env["XDG_RUNTIME_DIR"] = "/run/user/1000"
	if got := files(func(name string) string { return env[name] }); slices.Contains(got, want) {
		t.Errorf("with XDG_RUNTIME_DIR: files = %q, want %s not to be read", got, want)
	}
}

// A helper may start what stays: an agent, a keyring. Its answer counts all the same.
func TestHelperThatLeavesSomethingRunning(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	write(t, filepath.Join(bin, helperPrefix+"agent"), `#!/bin/sh
sleep 3 &
echo '{"Username":"helped","Secret":"hunter2"}'
`)
	content := `{"credHelpers":{"registry.example.com":"agent"}}`
	if got := find(t, map[string]string{"DOCKER_AUTH_CONFIG": content}, "registry.example.com", "a"); !strings.HasPrefix(got, "helped from ") {
		t.Errorf("found %q, want what the helper has said", got)
	}
}

// A configuration may have dozens of registries: which of them it is has to be said.
func TestWrongEntryIsNamed(t *testing.T) {
	for _, auth := range []string{"!!!hunter2", "aHVudGVyMg=="} {
		content := `{"auths":{"good.example.com":{"auth":"bWF0ZTpzZWNyZXQ="},"bad.example.com":{"auth":"` + auth + `"}}}`
		_, err := newContent("DOCKER_AUTH_CONFIG", content, newHelpers(helperLimit))
		if err == nil || !strings.Contains(err.Error(), "bad.example.com") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("with the entry %s: %v, want an error that names bad.example.com", auth, err)
		}
	}
}
