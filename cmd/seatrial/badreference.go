package main

import (
	"fmt"
	"strings"

	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/name"
)

// parseReference is strict about a repository's name, where go-containerregistry knows its
// characters only: an empty variable makes "-t $TAG ." name the repository ".".
func parseReference(text string, opts ...name.Option) (name.Reference, error) {
	ref, err := name.ParseReference(text, opts...)
	if err != nil {
		return nil, badReference(text, err)
	}
	path := ref.Context().RepositoryStr()
	if _, err := reference.WithName("host.invalid/" + path); err != nil {
		return nil, usagef("a reference looks like registry.example.com/team/app:1.2; is a variable empty that it is made of?",
			"invalid reference %q: %q is not what a repository can be called", text, path)
	}
	return ref, nil
}

// badReference is an error about a reference that cannot be parsed.
func badReference(ref string, err error) error {
	if scheme, rest, ok := strings.Cut(ref, "://"); ok {
		hint := fmt.Sprintf("leave out %s://: %s", scheme, rest)
		if host, _, _ := strings.Cut(rest, "/"); scheme == "http" {
			hint += "; a registry that speaks plain HTTP is one for --insecure-registry " + host
		}
		return usagef(hint, "invalid reference %q: it has a URL scheme", ref)
	}
	if lower := lowerRepository(ref); lower != ref {
		if _, err := name.ParseReference(lower, name.WeakValidation); err == nil {
			return usagef("it would be "+lower, "invalid reference %q: names of repositories are lower case", ref)
		}
	}
	return usagef("a reference looks like registry.example.com/team/app:1.2", "invalid reference %q: %w", ref, err)
}

// lowerRepository leaves the tag as it is.
func lowerRepository(ref string) string {
	end := len(ref)
	if at := strings.LastIndex(ref, ":"); at > strings.LastIndex(ref, "/") {
		end = at
	}
	return strings.ToLower(ref[:end]) + ref[end:]
}
