package main

import (
	"slices"
	"testing"

	"github.com/seatrial/seatrial/llb"
)

func TestSSHForAContext(t *testing.T) {
	for _, test := range []struct {
		values         []string
		context, agent string
		want           []string
	}{
		{nil, "git@example.com:team/app.git", "/agent", []string{"default"}},
		{nil, "ssh://git@example.com/app.git#main", "/agent", []string{"default"}},
		{nil, "git@example.com:team/app.git", "", nil},
		{nil, "https://example.com/app.git", "/agent", nil},
		{nil, ".", "/agent", nil},
		{[]string{"deploy=key"}, "git@example.com:team/app.git", "/agent", []string{"deploy=key"}},
	} {
		main := plan{build: llb.Options{Context: test.context}}
		named := plan{build: llb.Options{NamedContexts: map[string]string{"lib": test.context}}}
		if got := main.sshFor(test.values, test.agent); !slices.Equal(got, test.want) {
			t.Errorf("sshFor(%q, %q, %q) = %q, want %q", test.values, test.context, test.agent, got, test.want)
		}
		if got := named.sshFor(test.values, test.agent); !slices.Equal(got, test.want) {
			t.Errorf("sshFor(%q, %q) with the named context %q = %q, want %q", test.values, test.agent, test.context, got, test.want)
		}
	}
}
