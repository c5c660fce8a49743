package main

import (
	"regexp"
	"strings"
)

// classes are what the surroundings, not a frontend, make tests fail with; the
// first one whose pattern is found in a test's output counts.
var classes = []struct {
	name    string
	pattern *regexp.Regexp
}{
	{"the stand-in is another image", regexp.MustCompile(`expected: "sha256:[0-9a-f]{64}"|"/hellofs": not found`)},
	{"the machine lacks a capability", regexp.MustCompile(`cat /proc/self/status \| grep CapBnd`)},
	{"image missing", regexp.MustCompile(`failed to resolve source metadata for \S+|the stand-in for alpine has no \S+`)},
	{"needs the network", regexp.MustCompile(`dial tcp: lookup \S+|does not contain "process_message: socket 1"|no such host|Could not resolve host\S*|Temporary failure in name resolution|network is unreachable`)},
	{"program missing", regexp.MustCompile(`exec: "[^"]+": executable file not found|missing requirements`)},
	{"cannot execute the platform", regexp.MustCompile(`exec format error|\.buildkit_qemu_emulator\S*`)},
}

// failReason is the class of a failure and what was found in the output, or the
// test's own words.
func failReason(one *run) string {
	if one == nil {
		return ""
	}
	output := testOutput(one.output.String())
	for _, c := range classes {
		if found := c.pattern.FindString(output); found != "" {
			return c.name + ": " + found
		}
	}
	return firstError(output)
}

// testOutput is the output without the daemon's log, which the tests print when
// they fail.
func testOutput(output string) string {
	var kept []string
	for line := range strings.Lines(output) {
		if !strings.HasPrefix(line, "    sandbox.go:") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// firstError is what testify prints behind the first "Error:", up to the stack.
func firstError(output string) string {
	_, rest, found := strings.Cut(output, "Error:")
	if !found {
		return "no message"
	}
	var words []string
	for line := range strings.Lines(rest) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "github.com/") || strings.HasPrefix(line, "Test:") || len(words) == 4 {
			break
		}
		if line != "" && line != "Received unexpected error:" {
			words = append(words, line)
		}
	}
	return clip(strings.Join(words, " "), 200)
}

var skipLine = regexp.MustCompile(`(?m)^ *\w+\.go:\d+: (.*)$`)

// skipReason is what the test said before it skipped.
func skipReason(one *run) string {
	if one == nil {
		return ""
	}
	found := skipLine.FindAllStringSubmatch(one.output.String(), -1)
	if len(found) == 0 || found[len(found)-1][1] == "" {
		return "the test gives no reason"
	}
	return clip(found[len(found)-1][1], 200)
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "…"
}
