package llb

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	bkllb "github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/session/secrets"
	"github.com/moby/buildkit/session/sshforward"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/apicaps"
	"github.com/moby/buildkit/util/entitlements"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// MissingKind is what a build may lack.
type MissingKind string

// The kinds of Missing.
const (
	MissingImage       MissingKind = "image"       // a base image that cannot be resolved
	MissingSecret      MissingKind = "secret"      // not offered
	MissingSSH         MissingKind = "ssh"         // an agent or socket that is not offered
	MissingEntitlement MissingKind = "entitlement" // not among Options.Entitlements
	RefusedEntitlement MissingKind = "refused"     // an entitlement that the daemon does not grant
	MissingCapability  MissingKind = "capability"  // the daemon is too old, or has it switched off
	MissingPlatform    MissingKind = "platform"    // steps for it cannot be executed
)

// Missing is something that a build needs and would not get.
type Missing struct {
	Kind MissingKind
	Name string // of the image, secret, …
	// Optional tells that the step which asks for it goes on without.
	Optional bool
	// Err is why it cannot be had; nil if there is no more to say.
	Err error
	// Stage is the stage that asks for it if the image itself does not: one of
	// those that are wanted beside it. Platform is the image's.
	Stage    string
	Platform ocispecs.Platform
	// Source is the first line of the Dockerfile that needs it; nil if none does.
	Source *errdefs.Source
}

// needs collects what is missing for definitions.
type needs struct {
	opt      Options
	caps     apicaps.CapSet
	absent   map[string]error // images
	workers  []ocispecs.Platform
	entitled []string // what the steps need of entitlements
	found    []Missing

	stage  string // that is looked at, and for what
	target ocispecs.Platform
}

// add looks through the steps of a stage; name is "" for the image.
func (n *needs) add(ctx context.Context, name string, st *Stage) error {
	n.stage, n.target = name, st.Platform
	def := st.def
	for _, dt := range def.Def {
		var op pb.Op
		if err := op.UnmarshalVT(dt); err != nil {
			return fmt.Errorf("reading LLB: %w", err)
		}
		dgst := digest.FromBytes(dt)
		at := sourceOf(def, dgst)
		for id := range def.Metadata[dgst].Caps {
			if err := n.caps.Supports(id); err != nil {
				n.miss(Missing{Kind: MissingCapability, Name: string(id), Err: err, Source: at})
			}
		}
		if src := op.GetSource(); src != nil {
			n.source(ctx, src, at)
		}
		if exec := op.GetExec(); exec != nil {
			n.exec(ctx, exec, at)
			n.platform(op.Platform.Spec(), at)
		}
	}
	return nil
}

// sourceOf is where a step stands in the Dockerfile; nil if it stands nowhere.
func sourceOf(def *bkllb.Definition, dgst digest.Digest) *errdefs.Source {
	if def.Source == nil {
		return nil
	}
	for _, loc := range def.Source.Locations[dgst.String()].GetLocations() {
		if i := int(loc.SourceIndex); i >= 0 && i < len(def.Source.Infos) && len(loc.Ranges) > 0 {
			return &errdefs.Source{Info: def.Source.Infos[i], Ranges: loc.Ranges}
		}
	}
	return nil
}

func (n *needs) source(ctx context.Context, src *pb.SourceOp, at *errdefs.Source) {
	if ref, ok := strings.CutPrefix(src.Identifier, "docker-image://"); ok {
		if err := n.absent[normalized(ref)]; err != nil {
			n.miss(Missing{Kind: MissingImage, Name: ref, Err: err, Source: at})
		}
	}
	if id := src.Attrs[pb.AttrMountSSHSock]; id != "" {
		n.ssh(ctx, id, false, at)
	}
}

func (n *needs) exec(ctx context.Context, exec *pb.ExecOp, at *errdefs.Source) {
	if exec.Network == pb.NetMode_HOST {
		n.entitlement(entitlements.EntitlementNetworkHost, at)
	}
	if exec.Security == pb.SecurityMode_INSECURE {
		n.entitlement(entitlements.EntitlementSecurityInsecure, at)
	}
	if slices.ContainsFunc(exec.CdiDevices, func(d *pb.CDIDevice) bool { return !d.Optional }) {
		n.entitlement(entitlements.EntitlementDevice, at)
	}
	for _, m := range exec.Mounts {
		if s := m.SecretOpt; s != nil {
			n.secret(ctx, s.ID, s.Optional, at)
		}
		if s := m.SSHOpt; s != nil {
			n.ssh(ctx, s.ID, s.Optional, at)
		}
	}
	for _, s := range exec.Secretenv {
		n.secret(ctx, s.ID, s.Optional, at)
	}
}

func (n *needs) entitlement(e entitlements.Entitlement, at *errdefs.Source) {
	if !slices.Contains(n.entitled, e.String()) {
		n.entitled = append(n.entitled, e.String())
	}
	given := func(s string) bool { name, _, err := entitlements.Parse(s); return err == nil && name == e }
	if !slices.ContainsFunc(n.opt.Entitlements, given) {
		n.miss(Missing{Kind: MissingEntitlement, Name: e.String(), Source: at})
	}
}

func (n *needs) secret(ctx context.Context, id string, optional bool, at *errdefs.Source) {
	for _, a := range n.opt.Attachables {
		if s, ok := a.(secrets.SecretsServer); ok {
			if _, err := s.GetSecret(ctx, &secrets.GetSecretRequest{ID: id}); err == nil {
				return
			}
		}
	}
	n.miss(Missing{Kind: MissingSecret, Name: id, Optional: optional, Source: at})
}

func (n *needs) ssh(ctx context.Context, id string, optional bool, at *errdefs.Source) {
	for _, a := range n.opt.Attachables {
		if s, ok := a.(sshforward.SSHServer); ok {
			if _, err := s.CheckAgent(ctx, &sshforward.CheckAgentRequest{ID: id}); err == nil {
				return
			}
		}
	}
	if id == "" {
		id = sshforward.DefaultID
	}
	n.miss(Missing{Kind: MissingSSH, Name: id, Optional: optional, Source: at})
}

func (n *needs) platform(p ocispecs.Platform, at *errdefs.Source) {
	if !executable(n.workers, p) {
		n.miss(Missing{Kind: MissingPlatform, Name: platforms.FormatAll(platforms.Normalize(p)), Source: at})
	}
}

// executable tells whether one of the workers' platforms is p, or runs p.
func executable(workers []ocispecs.Platform, p ocispecs.Platform) bool {
	return slices.ContainsFunc(workers, func(w ocispecs.Platform) bool { return platforms.OnlyStrict(w).Match(p) })
}

// miss notes what is missing, once, at the first place that needs it most.
func (n *needs) miss(m Missing) {
	m.Stage, m.Platform = n.stage, n.target
	i := slices.IndexFunc(n.found, func(k Missing) bool { return k.Kind == m.Kind && k.Name == m.Name })
	if i < 0 {
		n.found = append(n.found, m)
		return
	}
	known := &n.found[i]
	switch {
	case known.Optional && !m.Optional, known.Optional == m.Optional && known.Stage == m.Stage && before(m.Source, known.Source):
		*known = m
	}
}

func before(a, b *errdefs.Source) bool {
	return a != nil && (b == nil || a.Ranges[0].Start.Line < b.Ranges[0].Start.Line)
}
