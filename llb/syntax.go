package llb

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/solver/errdefs"
)

// builtinMinor is the Dockerfile syntax, 1.builtinMinor, that the converter in
// go.mod's BuildKit v0.34 implements (BuildKit v0.13 was 1.7, and one more with
// each minor release since).
const builtinMinor = 28

// SyntaxError says that a Dockerfile asks for another frontend than the
// built-in converter. Such a frontend is an image that runs in the builder and
// can read everything the build offers: context, secrets, credentials.
type SyntaxError struct {
	// Frontend is the image that the Dockerfile names.
	Frontend string
	// Reason says why the built-in converter does not serve it.
	Reason string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("frontend image %s is not run: %s", e.Frontend, e.Reason)
}

// checkSyntax decides on the Dockerfile's syntax line, or the build argument
// BUILDKIT_SYNTAX that replaces it.
func (cv *conversion) checkSyntax() error {
	if _, ok := cv.ui.BuildOpts().Opts["cmdline"]; ok {
		return nil // somebody has read the line already, and come to us
	}
	if arg := strings.Fields(cv.ui.BuildOpts().Opts["build-arg:BUILDKIT_SYNTAX"]); len(arg) > 0 {
		if reason := unserved(arg[0]); reason != "" {
			return &SyntaxError{Frontend: arg[0], Reason: reason}
		}
		return nil
	}
	ref, _, loc, ok := parser.DetectSyntax(cv.src.Data)
	if !ok {
		return nil
	}
	if reason := unserved(ref); reason != "" {
		return errdefs.WithSource(&SyntaxError{Frontend: ref, Reason: reason},
			&errdefs.Source{Info: sourceInfo(cv.src.SourceMap), Ranges: pbRanges(loc)})
	}
	return nil
}

// unserved says why the built-in converter cannot stand in for the frontend
// image ref; "" if it can.
func unserved(ref string) string {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return "it is not an image reference: " + err.Error()
	}
	if reference.FamiliarName(named) != "docker/dockerfile" {
		return "a frontend image can read everything that the build offers, and only docker/dockerfile is built in"
	}
	tagged, ok := named.(reference.Tagged)
	if !ok || tagged.Tag() == "latest" || tagged.Tag() == "1" {
		return ""
	}
	version, channel, _ := strings.Cut(tagged.Tag(), "-")
	if channel != "" {
		return fmt.Sprintf("the built-in converter has the stable syntax, not the %s channel", channel)
	}
	parts := strings.Split(version, ".")
	if len(parts) >= 2 && parts[0] == "1" {
		if minor, err := strconv.Atoi(parts[1]); err == nil && minor <= builtinMinor {
			return ""
		}
	}
	return fmt.Sprintf("the built-in converter has syntax 1.%d", builtinMinor)
}
