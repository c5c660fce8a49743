package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/seatrial/seatrial/testsuite/compose"
)

func TestGitHub(t *testing.T) {
	dir := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	git("init", "-q", "-b", "topic")
	if err := os.WriteFile(filepath.Join(dir, "a"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	git("add", "a")
	git("commit", "-q", "-m", "Add a\n\nIt was missing.")
	none := func(string) (string, bool) { return "", false }
	got := gitHub(t.Context(), dir, none)
	if len(got.Commit) != 40 {
		t.Errorf("Commit = %q, want a hash", got.Commit)
	}
	if want := (compose.Hub{Branch: "topic", Commit: got.Commit, Message: "Add a\n\nIt was missing."}); got != want {
		t.Errorf("gitHub() = %+v, want %+v", got, want)
	}

	// A pipeline checks a commit out, and says of which branch it is.
	git("checkout", "-q", "--detach")
	git("tag", "v1")
	github := map[string]string{"GITHUB_REF_TYPE": "branch", "GITHUB_REF_NAME": "main", "GITHUB_SHA": "merge"}
	got2 := gitHub(t.Context(), dir, func(n string) (string, bool) { v, ok := github[n]; return v, ok })
	if want := (compose.Hub{Branch: "main", Tag: "v1", Commit: got.Commit, Message: got.Message}); got2 != want {
		t.Errorf("gitHub() of a commit = %+v, want %+v", got2, want)
	}

	// Without a repository, it is as the pipeline says.
	gitlab := map[string]string{"CI_COMMIT_TAG": "v2", "CI_COMMIT_SHA": "abc", "CI_COMMIT_MESSAGE": "Release"}
	if got, want := gitHub(t.Context(), "", func(n string) (string, bool) { v, ok := gitlab[n]; return v, ok }), (compose.Hub{Tag: "v2", Commit: "abc", Message: "Release"}); got != want {
		t.Errorf("gitHub() of no directory = %+v, want %+v", got, want)
	}
}
