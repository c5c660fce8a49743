package testsuite

import (
	"context"
	"fmt"

	bkllb "github.com/moby/buildkit/client/llb"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"

	"github.com/seatrial/seatrial/testsuite/helper/protocol"
)

// container is what the daemon is asked for: the same filesystems that the test's cache
// key has, so nothing is built for it.
func (c *instance) container(ctx context.Context) (gateway.NewContainerRequest, error) {
	network := c.Network
	if network == "" {
		network = NetworkNone
	}
	p := c.stage.Platform
	req := gateway.NewContainerRequest{
		Hostname: c.Spec.Hostname, NetMode: netModes[network],
		ExtraHosts: c.stack.views[c.index].hosts(c.stack.services, c.index),
		Platform:   &pb.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant},
	}
	for _, name := range c.names() {
		if name != c.Spec.Hostname {
			req.ExtraHosts = append(req.ExtraHosts, &pb.HostIP{Host: name, IP: "127.0.0.1"})
		}
	}
	for name, address := range c.Hosts {
		req.ExtraHosts = append(req.ExtraHosts, &pb.HostIP{Host: name, IP: address})
	}
	root, err := c.solve(ctx, c.stage.State)
	if err != nil {
		return req, fmt.Errorf("finding its image: %w", err)
	}
	program := c.stack.suite.program(c.stack.trial.Client.BuildOpts().SessionID, p)
	if program == nil {
		return req, errNoHelper(p)
	}
	helper, err := c.solve(ctx, *program)
	if err != nil {
		return req, fmt.Errorf("loading the helper: %w", err)
	}
	req.Mounts = []gateway.Mount{
		{Dest: pb.RootMount, Ref: root, MountType: pb.MountType_BIND},
		{Dest: protocol.BinDir, Ref: helper, MountType: pb.MountType_BIND, Readonly: true},
		{Dest: protocol.MeshDir, MountType: pb.MountType_CACHE, CacheOpt: &pb.CacheOpt{ID: meshID, Sharing: pb.CacheSharingOpt_SHARED}},
	}
	volumes, err := c.sharedMounts(ctx, root, helper)
	if err != nil {
		return req, err
	}
	req.Mounts = append(req.Mounts, volumes...)
	own, _ := apart(c.Mounts, c.stack.shared)
	for _, m := range own {
		mount, err := c.mount(ctx, m)
		if err != nil {
			return req, fmt.Errorf("mounting %s: %w", m.Target, err)
		}
		if mount.Dest != "" {
			req.Mounts = append(req.Mounts, mount)
		}
	}
	return req, nil
}

func (c *instance) solve(ctx context.Context, st bkllb.State) (gateway.Reference, error) {
	g, err := c.stack.trial.StateGraph(ctx, st)
	if err != nil {
		return nil, err
	}
	return c.stack.trial.Solve(ctx, g)
}

// mount is one of those that were declared; the zero value is one that is none, but a
// variable.
func (c *instance) mount(ctx context.Context, m Mount) (gateway.Mount, error) {
	switch m.Type {
	case MountTmpfs:
		return gateway.Mount{Dest: m.Target, MountType: pb.MountType_TMPFS}, nil
	case MountCache:
		return gateway.Mount{Dest: m.Target, MountType: pb.MountType_CACHE, CacheOpt: &pb.CacheOpt{ID: orElse(m.ID, m.Target)}}, nil
	case MountSSH:
		return gateway.Mount{Dest: m.Target, MountType: pb.MountType_SSH, SSHOpt: &pb.SSHOpt{ID: m.ID, Mode: 0o666, Optional: m.Optional}}, nil
	case MountSecret:
		if m.Env != "" {
			return gateway.Mount{}, nil
		}
		opt := &pb.SecretOpt{ID: m.ID, Mode: 0o444, Optional: m.Optional}
		return gateway.Mount{Dest: orElse(m.Target, "/run/secrets/"+m.ID), MountType: pb.MountType_SECRET, SecretOpt: opt}, nil
	}
	st, from, err := m.shown(ctx, c.stack.trial, c.stack.run.image, c.stage.State)
	if err != nil {
		return gateway.Mount{}, err
	}
	ref, err := c.solve(ctx, st)
	if err != nil {
		return gateway.Mount{}, err
	}
	mount := gateway.Mount{Dest: m.Target, Ref: ref, MountType: pb.MountType_BIND, Readonly: m.ReadOnly}
	if from != "/" {
		mount.Selector = from
	}
	return mount, nil
}
