package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/registry"
	"github.com/seatrial/seatrial/testsuite"
)

func attestTestsFlag() cli.Flag {
	f := boolFlag(catTest, "attest-tests", "put the names of the tests that passed into the image's index (default: true)")
	f.Value = true
	return f
}

func (p *plan) testResults(c *cli.Context) error {
	p.attestTests = p.mode != modeBuild && c.Bool("attest-tests")
	return nil
}

// attests tells whether there is somewhere to put what is attested.
func (d *delivery) attests() bool {
	o := d.plan.outputs
	return d.plan.attestTests && (o.push || slices.ContainsFunc(o.files, func(o output) bool { return o.kind == client.ExporterOCI }))
}

// attest adds to an image that has passed its suites which tests it were.
func (d *delivery) attest(ctx context.Context, artifact registry.Artifact) (registry.Artifact, error) {
	if !d.attests() {
		return artifact, nil
	}
	var cases []testsuite.Case
	for _, s := range d.suites {
		cases = append(cases, s.Passed().Cases...)
	}
	if redact := d.plan.build.Redact; redact != nil {
		for i := range cases {
			cases[i].Name = string(redact([]byte(cases[i].Name)))
		}
	}
	statements, err := testStatements(artifact, cases)
	if err != nil || len(statements) == 0 {
		return artifact, err
	}
	oci, err := strconv.ParseBool(d.plan.build.ExportAttrs[string(exptypes.OptKeyOCIArtifact)])
	artifact, err = registry.Attest(ctx, artifact, statements, registry.AttestOptions{ImageForm: err == nil && !oci})
	if err != nil {
		return nil, err
	}
	desc, err := descriptorOf(artifact)
	d.passed, d.final = cases, &desc
	return artifact, err
}

// blobsToAttest is how many blobs attest is going to add, for all that is known before
// the tests have ended: a statement of each image, the report that it speaks of, and the
// config that they share.
func (d *delivery) blobsToAttest(artifact registry.Artifact) int {
	parts, err := registry.Parts(artifact)
	if err != nil || len(d.suites) == 0 || !d.attests() {
		return 0
	}
	n := 1
	reported := slices.ContainsFunc(d.suites, func(s *testsuite.Suite) bool {
		return slices.ContainsFunc(s.Tests, func(t testsuite.Test) bool { return len(t.Reports) > 0 })
	})
	for range parts {
		if n++; reported {
			n++
		}
	}
	return n
}

// attested is the result of a build with the image that it came to.
func (d *delivery) attested(res *llb.Result) *llb.Result {
	if d.final == nil {
		return res
	}
	out := *res
	resp, err := describing(res.Response, *d.final)
	if err != nil {
		return res
	}
	out.Descriptor, out.Response = *d.final, resp
	return &out
}

func descriptorOf(a registry.Artifact) (ocispecs.Descriptor, error) {
	hash, err := a.Digest()
	if err != nil {
		return ocispecs.Descriptor{}, err
	}
	mediaType, err := a.MediaType()
	if err != nil {
		return ocispecs.Descriptor{}, err
	}
	size, err := a.Size()
	return ocispecs.Descriptor{MediaType: string(mediaType), Digest: digest.Digest(hash.String()), Size: size}, err
}

// describing is what an exporter says, of desc.
func describing(resp map[string]string, desc ocispecs.Descriptor) (map[string]string, error) {
	dt, err := json.Marshal(desc)
	if err != nil {
		return nil, err
	}
	out := maps.Clone(resp)
	if out == nil {
		out = map[string]string{}
	}
	out[exptypes.ExporterImageDigestKey] = desc.Digest.String()
	out[exptypes.ExporterImageDescriptorKey] = base64.StdEncoding.EncodeToString(dt)
	return out, nil
}
