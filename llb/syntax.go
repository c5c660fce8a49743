package llb

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"
)

// builtinMinor is the Dockerfile syntax, 1.builtinMinor, that the converter in
// go.mod's BuildKit v0.34 implements (BuildKit v0.13 was 1.7, and one more with
// each minor release since).
const builtinMinor = 28

// argSyntax is the build argument that replaces the Dockerfile's syntax line.
const argSyntax = "BUILDKIT_SYNTAX"

// Syntax is what a Dockerfile asks to be converted by, and what converts it. The
// zero value is a Dockerfile that asks for nothing.
type Syntax struct {
	// Asked is the frontend image as the syntax line, or the build argument
	// BUILDKIT_SYNTAX, names it; "" if nothing does.
	Asked string
	// Frontend is the frontend image that is run in the builder, with its
	// digest once that is known; "" for the built-in converter.
	Frontend string

	argument bool           // it was the build argument that asked
	cmdline  string         // the whole of what asked, as frontends are told it
	lines    []parser.Range // of the syntax line
}

// String says what asked for which frontend and what became of it; "" if nothing
// asked.
func (s Syntax) String() string {
	if s.Asked == "" {
		return ""
	}
	asked := "# syntax=" + s.Asked
	if s.argument {
		asked = argSyntax + "=" + s.Asked
	}
	if s.Frontend == "" {
		return fmt.Sprintf("%s is served by the built-in converter (1.%d)", asked, builtinMinor)
	}
	return fmt.Sprintf("%s is served by the frontend image %s", asked, s.Frontend)
}

// SyntaxError says that a Dockerfile asks for another frontend than the
// built-in converter, and nobody allowed that. Such a frontend is an image that
// runs in the builder and can read everything the build offers: context,
// secrets, credentials.
type SyntaxError struct {
	// Frontend is the image that the Dockerfile names.
	Frontend string
	// Reason says why it is not run.
	Reason string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("frontend image %s is not run: %s", e.Frontend, e.Reason)
}

// Syntax tells what converts the Dockerfile when it is built with opt, as far as
// that is known without a builder. A frontend that is neither built in nor
// allowed is a [*SyntaxError] that carries the Dockerfile's line.
func (s *Source) Syntax(opt Options) (Syntax, error) {
	info := &pb.SourceInfo{Filename: s.base(), Language: "Dockerfile", Data: s.Data}
	return decideSyntax(readSyntax(s.Data, opt.BuildArgs[argSyntax]), opt.AllowFrontends, info)
}

// checkSyntax decides on what converts the Dockerfile.
func (cv *conversion) checkSyntax(allowed []AllowedFrontend) (Syntax, error) {
	opts := cv.ui.BuildOpts().Opts
	if _, ok := opts["cmdline"]; ok {
		return Syntax{}, nil // somebody has read the line already, and come to us
	}
	return decideSyntax(readSyntax(cv.src.Data, opts["build-arg:"+argSyntax]), allowed, sourceInfo(cv.src.SourceMap))
}

// readSyntax is what is asked for.
func readSyntax(dockerfile []byte, arg string) Syntax {
	if fields := strings.Fields(arg); len(fields) > 0 {
		return Syntax{Asked: fields[0], argument: true, cmdline: arg}
	}
	ref, cmdline, lines, ok := parser.DetectSyntax(dockerfile)
	if !ok {
		return Syntax{}
	}
	return Syntax{Asked: ref, cmdline: cmdline, lines: lines}
}

// decideSyntax is what s asks for with a Frontend, if it needs one. info is the
// Dockerfile.
func decideSyntax(s Syntax, allowed []AllowedFrontend, info *pb.SourceInfo) (Syntax, error) {
	if s.Asked == "" {
		return s, nil
	}
	reason := unserved(s.Asked)
	if reason == "" {
		return s, nil
	}
	refusal := permit(s.Asked, allowed)
	if refusal == "" {
		s.Frontend = s.Asked
		return s, nil
	}
	return Syntax{}, s.locate(&SyntaxError{Frontend: s.Asked, Reason: reason + ", and " + refusal}, info)
}

// locate gives err the syntax line, unless it has lines already.
func (s Syntax) locate(err error, info *pb.SourceInfo) error {
	if s.argument || len(errdefs.Sources(err)) > 0 {
		return err
	}
	return errdefs.WithSource(err, &errdefs.Source{Info: info, Ranges: pbRanges(s.lines)})
}

// unserved says why the built-in converter cannot stand in for the frontend
// image ref; "" if it can.
func unserved(ref string) string {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return "it is not an image reference: " + err.Error()
	}
	if reference.FamiliarName(named) != "docker/dockerfile" {
		return "only docker/dockerfile is built in"
	}
	tagged, ok := named.(reference.Tagged)
	if _, pinned := named.(reference.Digested); pinned && !ok {
		return "a digest alone does not say which version of the syntax that is, so the built-in converter cannot stand in for it"
	}
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
