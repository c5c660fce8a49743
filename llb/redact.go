package llb

import "regexp"

var (
	userinfo = regexp.MustCompile(`(://)[^/\s@"']+@`)
	query    = regexp.MustCompile(`(https?://[^\s?"']+\?)[^\s"']+`)
)

// RedactURLs takes what may be secret out of the URLs in a text: user names, which may
// be tokens, passwords, and queries, which may be signed.
func RedactURLs(text string) string {
	return query.ReplaceAllString(userinfo.ReplaceAllString(text, "${1}xxxxx@"), "${1}xxxxx")
}
