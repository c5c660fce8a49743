package main

import (
	"slices"
	"strconv"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/frontend/attestations"
	provenance "github.com/moby/buildkit/solver/llbsolver/provenance/types"
	"github.com/tonistiigi/go-csvvalue"
	"github.com/urfave/cli/v2"
)

// attestation is one --attest, --sbom or --provenance.
type attestation struct {
	typed string
	kind  string
	off   bool
	attrs []string // KEY=VALUE
}

// attestations are flags about what is attested of the image. Nothing is unless it is
// asked for, as in buildctl: the time that is in a provenance makes every build
// another image.
func (p *plan) attestations(c *cli.Context) error {
	var all []attestation
	for _, v := range c.StringSlice("attest") {
		a, err := parseAttest(v)
		if err != nil {
			return err
		}
		all = append(all, a)
	}
	for _, kind := range []string{attestations.KeyTypeProvenance, attestations.KeyTypeSbom} {
		v := c.String(kind)
		if v == "" {
			continue
		}
		a := attestation{typed: "--" + kind + " " + v, kind: kind}
		if on, err := strconv.ParseBool(v); err == nil {
			a.off = !on
		} else if a.attrs, err = csvvalue.Fields(v, nil); err != nil {
			return usagef("", "%s: %w", a.typed, err)
		}
		all = append(all, a)
	}
	p.build.Attestations = map[string]string{}
	var seen []string
	for _, a := range all {
		if err := a.check(); err != nil {
			return err
		}
		if slices.Contains(seen, a.kind) {
			continue // buildx takes the first, and --attest before the others
		}
		seen = append(seen, a.kind)
		if !a.off {
			p.build.Attestations[a.kind] = joinCSV(a.attrs)
		}
	}
	return nil
}

// parseAttest takes type=TYPE,KEY=VALUE,… as CSV.
func parseAttest(v string) (attestation, error) {
	a := attestation{typed: "--attest " + v}
	fields, err := csvvalue.Fields(v, nil)
	if err != nil {
		return a, usagef("", "%s: %w", a.typed, err)
	}
	for _, field := range fields {
		key, value, _ := strings.Cut(field, "=")
		switch strings.TrimSpace(strings.ToLower(key)) {
		case "type":
			a.kind = value
		case "disabled":
			if a.off, err = strconv.ParseBool(value); err != nil {
				return a, usagef("", "%s: disabled is true or false", a.typed)
			}
		default:
			a.attrs = append(a.attrs, field)
		}
	}
	return a, nil
}

// check makes sure of what would otherwise be known when the image is built.
func (a attestation) check() error {
	if a.kind != attestations.KeyTypeProvenance && a.kind != attestations.KeyTypeSbom {
		return usagef("it looks like type=provenance,mode=max", "%s: type %q is not one of provenance, sbom", a.typed, a.kind)
	}
	for _, field := range a.attrs {
		key, value, ok := strings.Cut(field, "=")
		if !ok {
			return usagef("--provenance mode=max, --sbom generator=IMAGE, or true or false", "%s: %q is not of the form KEY=VALUE", a.typed, field)
		}
		switch {
		case a.kind == attestations.KeyTypeSbom && key == "generator":
			if _, err := reference.ParseNormalizedNamed(value); err != nil {
				return usagef("", "%s: generator %q: %w", a.typed, value, err)
			}
		case a.kind == attestations.KeyTypeProvenance && key == "mode":
			if !slices.Contains([]string{"min", "max", "full"}, value) {
				return usagef("", "%s: mode %q is not one of min, max", a.typed, value)
			}
		case a.kind == attestations.KeyTypeProvenance && key == "version":
			v := provenance.ProvenanceSLSA(value)
			if err := v.Validate(); err != nil {
				return usagef("", "%s: %w", a.typed, err)
			}
		}
	}
	return nil
}

// joinCSV is fields as one line of CSV.
func joinCSV(fields []string) string {
	quoted := make([]string, len(fields))
	for i, f := range fields {
		quoted[i] = f
		if strings.ContainsAny(f, `,"`) {
			quoted[i] = `"` + strings.ReplaceAll(f, `"`, `""`) + `"`
		}
	}
	return strings.Join(quoted, ",")
}
