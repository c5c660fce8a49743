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
	} {
		if got := RedactURLs(in); got != want {
			t.Errorf("RedactURLs(%q) = %q, want %q", in, got, want)
		}
	}
}
