package main

import (
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"
)

// printSource shows lines of a Dockerfile, which may hold any bytes. Values that the
// Dockerfile should not have had are not shown: the output of a build may be read by
// more people than its sources.
func printSource(w io.Writer, src *errdefs.Source) {
	var b strings.Builder
	_ = (&errdefs.Source{Info: withoutSecrets(src.Info), Ranges: src.Ranges}).Print(&b)
	fmt.Fprint(w, sanitize(withoutUserinfo(b.String())))
}

var (
	setsValue = regexp.MustCompile(`(?i)^\s*(ARG|ENV)\s`)
	// secretName is a name that BuildKit's rule SecretsUsedInArgOrEnv is about, or
	// nearly so: here too much is better than too little.
	secretName = regexp.MustCompile(`(?i)auth|credential|key|passw|pword|secret|token`)
)

// withoutSecrets is a file in which ARG and ENV of such names have no values.
func withoutSecrets(info *pb.SourceInfo) *pb.SourceInfo {
	if info == nil {
		return nil
	}
	if isYAML(info.Filename) {
		masked := info.CloneVT()
		masked.Data = []byte(withoutYAMLSecrets(string(info.Data)))
		return masked
	}
	lines := strings.Split(string(info.Data), "\n")
	inside, secret := false, false // of the instruction that a line may go on with
	for i, line := range lines {
		if !inside {
			inside, secret = setsValue.MatchString(line), false
		}
		if !inside {
			continue
		}
		switch {
		case secret:
			lines[i] = withoutRest(line)
		case secretName.MatchString(line):
			lines[i], secret = withoutValue(line), true
		}
		inside = strings.HasSuffix(strings.TrimSpace(line), `\`) || strings.HasSuffix(strings.TrimSpace(line), "`")
	}
	masked := info.CloneVT()
	masked.Data = []byte(strings.Join(lines, "\n"))
	return masked
}

// withoutValue takes the NAME=VALUE of ARG and ENV, and the old form of ENV.
func withoutValue(line string) string {
	if strings.Contains(line, "=") {
		return withoutRest(line)
	}
	if fields := strings.Fields(line); len(fields) > 2 {
		return fields[0] + " " + fields[1] + " " + mask
	}
	return line
}

// withoutRest is for a line that may go on with a value, or have more names.
func withoutRest(line string) string {
	if name, _, ok := strings.Cut(line, "="); ok {
		return name + "=" + mask
	}
	return mask
}
