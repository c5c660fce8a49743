package main

import "regexp"

var (
	// userinfo is USER:PASSWORD@HOST where no URL is, such as in a reference. A host has a
	// dot or a port, which tells it from the digest of app:1@sha256:… and the version
	// of npm:app@1.2. Passwords may have a slash or an @ in them.
	userinfo = regexp.MustCompile(`([^\s/@:"'=,]+):([^\s/]\S*)(@(?:(?:[\w-]+\.)+[A-Za-z][\w-]*|\d+(?:\.\d+){3}|[\w.-]+:\d{1,5}|localhost)\b)`)
	// portAndPath is what a password would be in HOST:PORT/PATH@HOST.
	portAndPath = regexp.MustCompile(`^\d{1,5}/`)
	// curlUser is the user of a registry as curl -u has it.
	curlUser = regexp.MustCompile(`(--(?:registry|pull)-user (?:HOST=)?[^\s/:"'=]+:)\S+`)
)

// withoutUserinfo takes user names and passwords out of references, which have none, and
// passwords from behind a user: somebody may have put them there, and the output is in
// the log of a pipeline.
func withoutUserinfo(text string) string {
	text = curlUser.ReplaceAllString(text, "${1}xxxxx")
	return userinfo.ReplaceAllStringFunc(text, func(found string) string {
		parts := userinfo.FindStringSubmatch(found)
		if portAndPath.MatchString(parts[2]) {
			return found
		}
		return "xxxxx" + parts[3]
	})
}
