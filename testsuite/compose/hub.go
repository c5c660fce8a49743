package compose

import (
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/distribution/reference"
)

// Hub is what Docker Hub's builder, and tutum/builder before it, told the tests of an
// image. What is "" is not told.
type Hub struct {
	// Name is the image's reference. Default: this.
	Name string
	// Dockerfile is the file's path in the build context.
	Dockerfile string
	// Branch and Tag are those that the sources were taken from.
	Branch, Tag string
	// Commit is the hash of the sources' commit, and Message what it says.
	Commit, Message string
}

// HubEnv is Docker Hub's variables, for Options.Env. A service sees those that its
// environment lists.
func HubEnv(h Hub) map[string]string {
	source := h.Branch
	if source == "" {
		source = h.Tag
	}
	env := map[string]string{
		"IMAGE_NAME":      builtImage,
		"DOCKERFILE_PATH": filepath.ToSlash(h.Dockerfile),
		"SOURCE_BRANCH":   source,
		"SOURCE_COMMIT":   h.Commit,
		"COMMIT_MSG":      h.Message,
		"GIT_BRANCH":      h.Branch,
		"GIT_TAG":         h.Tag,
		"GIT_SHA1":        h.Commit,
	}
	if env["GIT_TAG"] == "" {
		env["GIT_TAG"] = source
	}
	if ref, err := reference.ParseNormalizedNamed(h.Name); err == nil {
		tagged := reference.TagNameOnly(ref)
		env["IMAGE_NAME"], env["DOCKER_REPO"] = hubName(tagged.String()), hubName(ref.Name())
		if t, ok := tagged.(reference.Tagged); ok {
			env["DOCKER_TAG"] = t.Tag()
		}
	}
	for k, v := range env {
		if v == "" {
			delete(env, k)
		}
	}
	return env
}

// hubName is how Docker Hub writes its own name.
func hubName(name string) string {
	if rest, ok := strings.CutPrefix(name, "docker.io/"); ok {
		return "index.docker.io/" + rest
	}
	return name
}

// hookNames are the programs that Docker Hub runs around its steps, in its order.
var hookNames = []string{"post_checkout", "pre_build", "build", "post_build", "pre_test", "test", "post_test", "pre_push", "push", "post_push"}

// Hooks returns the Docker Hub hooks beside a Dockerfile, as hooks/NAME, in the order
// in which they would run. They drive a Docker daemon: nothing here runs them.
func Hooks(dir string) []string {
	var out []string
	for _, name := range hookNames {
		if info, err := os.Stat(filepath.Join(dir, "hooks", name)); err == nil && info.Mode().IsRegular() {
			out = append(out, path.Join("hooks", name))
		}
	}
	return out
}

// HooksWarning says what to do about hooks; "" if there are none.
func HooksWarning(hooks []string) string {
	if len(hooks) == 0 {
		return ""
	}
	return strings.Join(hooks, ", ") + ": Docker Hub's hooks are not run, since they drive a Docker daemon; " +
		"put what they do into the Dockerfile, flags, or the pipeline around this command"
}
