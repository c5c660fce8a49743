package llb

import (
	"bytes"
	"regexp"
)

var (
	userinfo = regexp.MustCompile(`(://)[^/\s?#"']+@`)
	query    = regexp.MustCompile(`(https?://[^\s?"']+\?)[^\s"']+`)
	relative = regexp.MustCompile(`(/[^\s?"']*\?)[^\s?="']+=[^\s"']*`) // a URL as a registry itself sees it
)

// RedactURLs takes what may be secret out of the URLs in a text: user names, which may
// be tokens, passwords, and queries, which may be signed.
func RedactURLs(text string) string {
	text = userinfo.ReplaceAllString(text, "${1}xxxxx@")
	text = query.ReplaceAllString(text, "${1}xxxxx")
	return relative.ReplaceAllString(text, "${1}xxxxx")
}

// redactFetch does so in what the daemon itself puts into a log: why it fetches a blob
// again. What steps print stays as it is.
func redactFetch(data []byte) []byte {
	if !bytes.HasPrefix(data, []byte("error: ")) {
		return data
	}
	return []byte(RedactURLs(string(data)))
}
