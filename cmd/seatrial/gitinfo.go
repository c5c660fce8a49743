package main

import (
	"context"
	"os/exec"
	"strings"

	"github.com/seatrial/seatrial/testsuite/compose"
)

// gitHub is what git, or else the pipeline's environment, knows of the sources in a
// directory. Pipelines check out a commit, and know better of which branch.
func gitHub(ctx context.Context, dir string, lookup func(string) (string, bool)) compose.Hub {
	first := func(names ...string) string {
		for _, n := range names {
			if v, _ := lookup(n); v != "" {
				return v
			}
		}
		return ""
	}
	h := compose.Hub{
		Branch:  first("GITHUB_HEAD_REF", "CI_COMMIT_BRANCH", "BRANCH_NAME"),
		Tag:     first("CI_COMMIT_TAG", "TAG_NAME"),
		Commit:  first("GITHUB_SHA", "CI_COMMIT_SHA", "GIT_COMMIT"),
		Message: first("CI_COMMIT_MESSAGE"),
	}
	switch first("GITHUB_REF_TYPE") {
	case "branch":
		if h.Branch == "" {
			h.Branch = first("GITHUB_REF_NAME")
		}
	case "tag":
		h.Tag = first("GITHUB_REF_NAME")
	}
	git := func(args ...string) string {
		if dir == "" {
			return ""
		}
		// None of these runs anything that the repository's configuration names.
		out, err := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...).Output()
		if err != nil {
			return "" // no git, no repository, or nothing to tell
		}
		return strings.TrimSpace(string(out))
	}
	if commit := git("rev-parse", "--verify", "-q", "HEAD"); commit != "" {
		h.Commit = commit
		_, h.Message, _ = strings.Cut(git("cat-file", "commit", "HEAD"), "\n\n")
	}
	if branch := git("symbolic-ref", "--short", "-q", "HEAD"); branch != "" {
		h.Branch = branch
	}
	if h.Tag == "" {
		h.Tag, _, _ = strings.Cut(git("for-each-ref", "--points-at=HEAD", "--format=%(refname:short)", "refs/tags"), "\n")
	}
	return h
}
