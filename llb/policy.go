package llb

import (
	"strings"

	policypb "github.com/moby/buildkit/sourcepolicy/pb"
)

// announcePolicy lets the registries see credentials that a policy puts in place of
// those that the build names. The rest of such a reference may depend on the one
// that it replaces.
func (b *bases) announcePolicy(p *policypb.Policy) {
	for _, rule := range p.GetRules() {
		if rule.Action != policypb.PolicyAction_CONVERT {
			continue
		}
		ref, ok := strings.CutPrefix(rule.GetUpdates().GetIdentifier(), "docker-image://")
		if !ok {
			continue
		}
		host, _, _ := strings.Cut(ref, "/")
		b.announce(host + "/image") // normalized as the whole would be
	}
}
