package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/seatrial/seatrial/cmd/internal/config"
)

// gitCommands find the values of ${git.…}.
var gitCommands = map[string][]string{
	"git.commit": {"rev-parse", "--verify", "HEAD"},
	"git.short":  {"rev-parse", "--verify", "--short", "HEAD"},
	"git.branch": {"symbolic-ref", "--short", "HEAD"},
	"git.tag":    {"describe", "--tags", "--exact-match", "HEAD"},
}

// variables are those of the environment, and of the git repository that dir is in.
func variables(ctx context.Context, dir string) config.Lookup {
	known := map[string]string{}
	return func(name string) (string, error) {
		args, ok := gitCommands[name]
		if !ok {
			if v, ok := os.LookupEnv(name); ok {
				return v, nil
			}
			return "", fmt.Errorf("the variable %s is not set", name)
		}
		if v, ok := known[name]; ok {
			return v, nil
		}
		v, err := git(ctx, dir, args...)
		if err == nil {
			known[name] = v
		}
		return v, err
	}
}

// git is what a command of git prints. Its error has what it says in one line.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return "", fmt.Errorf("git %s: %s", args[0], strings.TrimPrefix(firstLine(strings.TrimSpace(string(exit.Stderr))), "fatal: "))
	}
	if err != nil {
		return "", fmt.Errorf("git %s: %w", args[0], err)
	}
	return strings.TrimSpace(string(out)), nil
}
