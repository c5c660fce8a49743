package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	policypb "github.com/moby/buildkit/sourcepolicy/pb"
	"github.com/urfave/cli/v2"
	"google.golang.org/protobuf/proto"
)

// policyVariable names a policy for buildx, and for BuildKit's Dockerfile tests.
const policyVariable = "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY"

// policy reads the source policy, which says what image and tests may be made from.
func (p *plan) policy(c *cli.Context) error {
	file, said := c.String("source-policy-file"), "--source-policy-file"
	if !c.IsSet("source-policy-file") {
		file, said = os.Getenv(policyVariable), policyVariable
	}
	if file == "" {
		return nil
	}
	pol, err := readPolicy(file)
	if err != nil {
		return usagef(`a policy looks like {"rules":[{"action":"DENY","selector":{"identifier":"docker-image://docker.io/library/*"}}]}`, "%s: %w", said, err)
	}
	p.build.SourcePolicy = pol
	return nil
}

// readPolicy reads a policy as JSON, or as the protocol buffer that it stands for. A
// field that is not known is an error: a rule that nobody reads protects nobody.
func readPolicy(file string) (*policypb.Policy, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var pol policypb.Policy
	if proto.Unmarshal(data, &pol) != nil || len(pol.Rules) == 0 {
		pol.Reset()
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&pol); err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
	}
	for i, rule := range pol.Rules {
		switch {
		case rule.GetSelector().GetIdentifier() == "":
			return nil, fmt.Errorf("reading %s: rule %d selects nothing: selector.identifier is missing", file, i+1)
		case rule.Action == policypb.PolicyAction_CONVERT && rule.GetUpdates() == nil:
			return nil, fmt.Errorf("reading %s: rule %d converts to nothing: updates is missing", file, i+1)
		}
	}
	return &pol, nil
}
