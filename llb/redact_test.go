package llb

import "testing"

func TestRedactURLs(t *testing.T) {
	for in, want := range map[string]string{
		"load git source https://ghp_TOKEN@host/o/r.git#main": "load git source https://xxxxx@host/o/r.git#main",
		"https://user:pw@host:8443/x?sig=abc failed":          "https://xxxxx@host:8443/x?xxxxx failed",
		`Get "http://host/x.tar?token=q": refused`:            `Get "http://host/x.tar?xxxxx": refused`,
		"FROM docker.io/library/app:1@sha256:abc":             "FROM docker.io/library/app:1@sha256:abc",
		"docker-image://host/app@sha256:abc":                  "docker-image://host/app@sha256:abc",
		"RUN test a?b":                                        "RUN test a?b",
		"RUN rm /srv/?.txt":                                   "RUN rm /srv/?.txt",
		"https://user:p@ss@host/x":                            "https://xxxxx@host/x",
		"https://host/x and me@example.com":                   "https://host/x and me@example.com",
		"denied: /bucket/blob?X-Amz-Signature=abc&x=y failed": "denied: /bucket/blob?xxxxx failed",
	} {
		if got := RedactURLs(in); got != want {
			t.Errorf("RedactURLs(%q) = %q, want %q", in, got, want)
		}
	}
}

// The daemon says in a log why it fetches a blob again.
func TestRedactFetch(t *testing.T) {
	for in, want := range map[string]string{
		`error: failed to do request: Get "https://bucket/x?sig=abc": EOF`: `error: failed to do request: Get "https://bucket/x?xxxxx": EOF`,
		"a step fetches https://host/x?y=z":                                "a step fetches https://host/x?y=z",
	} {
		if got := string(redactFetch([]byte(in))); got != want {
			t.Errorf("redactFetch(%q) = %q, want %q", in, got, want)
		}
	}
}
