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
