package main

import "testing"

func TestWithoutUserinfo(t *testing.T) {
	for in, want := range map[string]string{
		"ref=mate:pw@registry.example.com/app:1 is wrong":     "ref=xxxxx@registry.example.com/app:1 is wrong",
		`invalid "mate:p@s/s@localhost:5000/app@sha256:abc"`:  `invalid "xxxxx@localhost:5000/app@sha256:abc"`,
		"FROM mate:pw@10.0.0.1/app":                           "FROM xxxxx@10.0.0.1/app",
		"docker-image://mate:pw@registry:5000/app":            "docker-image://xxxxx@registry:5000/app",
		"registry.example.com:5000/team/app:1@sha256:1234567": "registry.example.com:5000/team/app:1@sha256:1234567",
		"npm install lodash@npm:other@1.2.3":                  "npm install lodash@npm:other@1.2.3",
		"https://host.example.com:8443/x@example.com":         "https://host.example.com:8443/x@example.com",
		"git@github.com:org/app: no such repository":          "git@github.com:org/app: no such repository",
		"--registry-user mate:p/w has none":                   "--registry-user mate:xxxxx has none",
		"--pull-user mate: no host":                           "--pull-user mate: no host",
		"maintainer: me@example.com":                          "maintainer: me@example.com",
	} {
		if got := withoutUserinfo(in); got != want {
			t.Errorf("withoutUserinfo(%q) = %q, want %q", in, got, want)
		}
	}
}
