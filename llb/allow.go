package llb

import (
	"strings"

	"github.com/distribution/reference"
	digest "github.com/opencontainers/go-digest"
)

// AllowedFrontend is a frontend image, or several, that may be run in the
// builder.
type AllowedFrontend struct {
	repository string        // with its registry
	tag        string        // "" for any
	digest     digest.Digest // "" for any
}

// ParseAllowedFrontend reads REPOSITORY for every image of a repository,
// REPOSITORY:TAG for whatever the tag points at, or REPOSITORY@DIGEST for one
// image (a tag before the digest is ignored). Anything else is an error.
func ParseAllowedFrontend(s string) (AllowedFrontend, error) {
	named, err := reference.ParseNormalizedNamed(s)
	if err != nil {
		return AllowedFrontend{}, err
	}
	a := AllowedFrontend{repository: named.Name()}
	if pinned, ok := named.(reference.Digested); ok {
		a.digest = pinned.Digest()
	} else if tagged, ok := named.(reference.Tagged); ok {
		a.tag = tagged.Tag()
	}
	return a, nil
}

// String is a as ParseAllowedFrontend reads it.
func (a AllowedFrontend) String() string {
	s := strings.TrimPrefix(strings.TrimPrefix(a.repository, "docker.io/"), "library/")
	switch {
	case a.digest != "":
		return s + "@" + a.digest.String()
	case a.tag != "":
		return s + ":" + a.tag
	}
	return s
}

// admits tells whether the image may be run that is called ref; dgst is what the
// name stands for, "" while that is not known and may still turn out right.
func (a AllowedFrontend) admits(ref reference.Named, dgst digest.Digest) bool {
	switch {
	case ref.Name() != a.repository:
		return false
	case a.digest != "":
		return dgst == "" || dgst == a.digest
	case a.tag != "":
		// Beside a digest a tag is a comment.
		_, pinned := ref.(reference.Digested)
		tagged, ok := reference.TagNameOnly(ref).(reference.Tagged)
		return ok && !pinned && tagged.Tag() == a.tag
	}
	return true
}

// permit says why none of allowed admits the frontend image ref; "" if one does,
// or would if the digest is right that the name turns out to stand for.
func permit(ref string, allowed []AllowedFrontend) string {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return "no image has such a name"
	}
	var dgst digest.Digest
	if pinned, ok := named.(reference.Digested); ok {
		dgst = pinned.Digest()
	}
	return permitDigest(named, dgst, allowed)
}

// permitDigest is permit for a name that stands for dgst.
func permitDigest(named reference.Named, dgst digest.Digest, allowed []AllowedFrontend) string {
	var names []string
	for _, a := range allowed {
		if a.admits(named, dgst) {
			return ""
		}
		names = append(names, a.String())
	}
	if len(names) == 0 {
		return "no frontend image is allowed"
	}
	return "what is allowed is " + strings.Join(names, ", ")
}
