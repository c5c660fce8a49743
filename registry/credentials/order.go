package credentials

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Default are the places where credentials are looked for, in this order:
//
//   - DOCKER_CONFIG, if it holds the content of a configuration instead of a path
//   - DOCKER_AUTH_CONFIG, which always does
//   - the file that REGISTRY_AUTH_FILE names
//   - Docker's configuration, with its credential helpers
//   - Podman's auth.json
//   - GitLab (CI_REGISTRY_*, CI_DEPENDENCY_PROXY_*), GitHub (GITHUB_TOKEN, for
//     ghcr.io), Azure (AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, or its helper
//     docker-credential-acr-env), AWS, Google, each for its own registries
//
// A variable that does not hold what it should is an error, and so is a file that a
// variable names and that cannot be read. Nothing else is read before it is needed.
func Default(getenv func(string) string) ([]Source, error) {
	h := newHelpers(helperLimit)
	var sources []Source
	if path := getenv("DOCKER_CONFIG"); path != "" && !IsContent(path) {
		if fi, err := os.Stat(path); err == nil && !fi.IsDir() {
			return nil, fmt.Errorf("reading DOCKER_CONFIG, %s: it is a file, not the directory of a config.json (REGISTRY_AUTH_FILE names a file)", path)
		}
	}
	for _, variable := range []string{"DOCKER_CONFIG", "DOCKER_AUTH_CONFIG"} {
		content := getenv(variable)
		if content == "" || variable == "DOCKER_CONFIG" && !IsContent(content) {
			continue
		}
		f, err := newContent(variable, content, h)
		if err != nil {
			return nil, err
		}
		sources = append(sources, f)
	}
	if path := getenv("REGISTRY_AUTH_FILE"); path != "" {
		f := newFile(path, h)
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("reading REGISTRY_AUTH_FILE: %w", err)
		}
		if _, err := f.config(); err != nil {
			return nil, fmt.Errorf("reading REGISTRY_AUTH_FILE: %w", err)
		}
		sources = append(sources, f)
	}
	for _, path := range files(getenv) {
		sources = append(sources, newFile(path, h))
	}
	sources = append(sources, identities(getenv, h)...)
	return append(sources, &amazonIdentity{answers: map[string]answer{}}, &googleIdentity{}), nil
}

// IsContent tells whether the value of DOCKER_CONFIG is the content of a
// configuration instead of the path of a directory.
func IsContent(value string) bool { return strings.HasPrefix(strings.TrimSpace(value), "{") }

// files are Docker's and Podman's, whether they are there or not.
func files(getenv func(string) string) []string {
	var list []string
	home := getenv("HOME")
	docker := getenv("DOCKER_CONFIG")
	if docker == "" || IsContent(docker) {
		docker = filepath.Join(home, ".docker")
	}
	if docker != ".docker" {
		list = append(list, filepath.Join(docker, "config.json"))
	}
	if dir := getenv("XDG_RUNTIME_DIR"); dir != "" {
		list = append(list, filepath.Join(dir, "containers", "auth.json"))
	} else {
		list = append(list, filepath.Join("/run/containers", strconv.Itoa(os.Getuid()), "auth.json"))
	}
	config := getenv("XDG_CONFIG_HOME")
	if config == "" && home != "" {
		config = filepath.Join(home, ".config")
	}
	if config != "" {
		list = append(list, filepath.Join(config, "containers", "auth.json"))
	}
	return list
}
