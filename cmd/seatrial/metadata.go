package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"

	"github.com/seatrial/seatrial/llb"
)

// keyProvenance is where buildx has the provenance in a metadata file.
const keyProvenance = "buildx.build.provenance"

// provenanceVariable is buildx's: min, max or disabled.
const provenanceVariable = "BUILDX_METADATA_PROVENANCE"

// provenanceWait bounds how long the builder may take to give the provenance.
const provenanceWait = 10 * time.Second

// metadata is what buildx writes: what the exporter said, what is base64-coded JSON
// there as JSON, the image's names, and how it was built.
func (o *outcome) metadata() map[string]any {
	out := map[string]any{}
	for k, v := range o.result.Response {
		out[k] = v
		dt, err := base64.StdEncoding.DecodeString(v)
		if err == nil && len(dt) > 0 && (dt[0] == '{' || dt[0] == '[') && json.Valid(dt) {
			out[k] = json.RawMessage(dt)
		}
	}
	names := o.names
	if len(o.pushed) > 0 {
		names = nil
		for _, p := range o.pushed {
			names = append(names, canonical(p.Reference))
		}
	}
	if len(names) > 0 {
		out[exptypes.ExporterImageNameKey] = strings.Join(names, ",")
	}
	for k, v := range o.provenance() {
		out[k] = v
	}
	return out
}

// provenance is how the image was built, as the builder's history has it. That it has
// nothing is no failure: the image is what was asked for.
func (o *outcome) provenance() map[string]any {
	mode := os.Getenv(provenanceVariable)
	if on, err := strconv.ParseBool(mode); mode == "disabled" || err == nil && !on {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), provenanceWait)
	defer cancel()
	out := map[string]any{}
	for _, b := range o.builds {
		found, err := llb.RecordedProvenance(ctx, b.builder.Client, b.result.Ref)
		if err != nil {
			continue
		}
		for platform, p := range found {
			if mode != "max" {
				p.BuildConfig, p.Metadata = nil, nil
			}
			key := keyProvenance
			if platform != "" {
				key += "/" + platform
			}
			out[key] = p
		}
	}
	return out
}

// imageNames are the image's names where an output has any.
func (p *plan) imageNames() []string {
	named := p.outputs.push || p.outputs.stored
	refs := p.refs
	for _, o := range p.outputs.files {
		if o.kind == client.ExporterLocal || o.kind == client.ExporterTar {
			continue
		}
		if own, err := p.namesOf(o); err == nil && !named {
			named, refs = true, own
		}
	}
	if !named {
		return nil
	}
	var names []string
	for _, ref := range refs {
		names = append(names, canonical(ref))
	}
	return names
}
