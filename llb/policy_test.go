package llb

import (
	"testing"

	policypb "github.com/moby/buildkit/sourcepolicy/pb"
)

// TestPolicyAnnouncesReplacements tells which registries may see credentials when a
// policy has the builder take images from somewhere else.
func TestPolicyAnnouncesReplacements(t *testing.T) {
	b := newBases()
	convert := func(to string) *policypb.Rule {
		return &policypb.Rule{Action: policypb.PolicyAction_CONVERT, Updates: &policypb.Update{Identifier: to}}
	}
	b.announcePolicy(&policypb.Policy{Rules: []*policypb.Rule{
		convert("docker-image://mirror.example.com:5000/hub/$1"),
		convert("docker-image://docker.io/library/${1}"),
		convert("https://files.example.com/$1"),
		{Action: policypb.PolicyAction_ALLOW, Updates: &policypb.Update{Identifier: "docker-image://allowed.example.com/x"}},
	}})
	for host, want := range map[string]bool{
		"mirror.example.com:5000": true, "registry-1.docker.io": true, "files.example.com": false, "allowed.example.com": false,
	} {
		if got := b.allows(host); got != want {
			t.Errorf("allows(%q) = %t, want %t", host, got, want)
		}
	}
}
