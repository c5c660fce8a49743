package main

import (
	"testing"

	"github.com/moby/buildkit/solver/pb"
)

func TestWithoutSecrets(t *testing.T) {
	for in, want := range map[string]string{
		"ARG NAME=value":                             "ARG NAME=value",
		"ARG TOKEN":                                  "ARG TOKEN",
		"arg api_token=value":                        "arg api_token=***",
		"ENV PASSWORD value":                         "ENV PASSWORD ***",
		"ENV A=b DB_PASSWD=value":                    "ENV A=***",
		"ENV A=b \\\n  TOKEN=value \\\n  C=d\nRUN x": "ENV A=b \\\n  TOKEN=***\n  C=***\nRUN x",
		"ENV TOKEN=val\\\nue\nENV A=b":               "ENV TOKEN=***\n***\nENV A=b",
		"RUN echo token=value":                       "RUN echo token=value",
	} {
		info := &pb.SourceInfo{Data: []byte(in)}
		if got := string(withoutSecrets(info).Data); got != want {
			t.Errorf("withoutSecrets(%q) = %q, want %q", in, got, want)
		}
		if string(info.Data) != in {
			t.Errorf("withoutSecrets(%q) changed the file", in)
		}
	}
}

func TestWithoutYAMLSecrets(t *testing.T) {
	for in, want := range map[string]string{
		"a: b":                          "a: b",
		"services:\n  sut:":             "services:\n  sut:",
		"secrets:\n  - one":             "secrets:\n  - one",
		"  API_TOKEN: value":            "  API_TOKEN: ***",
		"  - DB_PASSWORD=value":         "  - DB_PASSWORD=***",
		"  \"password\" : value":        "  \"password\" : ***",
		"env: {A: b, KEY: value}":       "env: {A: b, KEY: ***",
		"key: |\n  one\n\n  two\nb: c":  "key: ***\n  ***\n\n  ***\nb: c",
		"key: one\n  two\nb: c":         "key: ***\n  ***\nb: c",
		"url: postgres://me:value@db/x": "url: postgres://xxxxx@db/x",
		"command: test --token=value x": "command: test --token=***",
	} {
		info := &pb.SourceInfo{Filename: "a.test.yml", Data: []byte(in)}
		if got := string(withoutSecrets(info).Data); got != want {
			t.Errorf("withoutSecrets(%q) = %q, want %q", in, got, want)
		}
	}
}
