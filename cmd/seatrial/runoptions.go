package main

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/docker/go-units"
	"github.com/moby/buildkit/util/entitlements"
	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/testsuite"
)

// runOptions are flags about the surroundings of RUN instructions and tests.
func (p *plan) runOptions(c *cli.Context) error {
	for _, v := range c.StringSlice("no-cache-filter") {
		p.build.NoCacheStages = append(p.build.NoCacheStages, strings.Split(v, ",")...)
	}
	p.build.CgroupParent = c.String("cgroup-parent")
	p.build.Ulimits = c.StringSlice("ulimit")
	for _, v := range p.build.Ulimits {
		if _, err := units.ParseUlimit(v); err != nil {
			return usagef("a limit looks like nofile=1024:2048", "--ulimit %q: %w", v, err)
		}
	}
	if v := c.String("shm-size"); v != "" {
		size, err := units.RAMInBytes(v)
		if err != nil || size <= 0 {
			return usagef("a size looks like 64m or 1g", "--shm-size %q is no size", v)
		}
		p.build.ShmSize = size
	}
	if err := p.hosts(c.StringSlice("add-host")); err != nil {
		return err
	}
	if err := p.frontends(c.StringSlice("allow-frontend")); err != nil {
		return err
	}
	return p.entitlements(c)
}

// noCacheStages checks the stages that are to be built anew, which BuildKit looks up by
// name alone: it would pass over others in silence. An empty name is that of the stages
// that have none.
func (p *plan) noCacheStages(have []string) error {
	for _, name := range p.build.NoCacheStages {
		known := func(stage string) bool { return strings.EqualFold(stage, name) }
		if name != "" && !slices.ContainsFunc(have, known) {
			return stageError(fmt.Errorf("--no-cache-filter: %w", &testsuite.UnknownStageError{Stage: name, Have: have}))
		}
	}
	return nil
}

func (p *plan) frontends(values []string) error {
	for _, v := range values {
		a, err := llb.ParseAllowedFrontend(v)
		if err != nil {
			return usagef("REPO, REPO:TAG or REPO@sha256:… is expected, as docker/dockerfile:1-labs", "--allow-frontend %q: %w", v, err)
		}
		p.build.AllowFrontends = append(p.build.AllowFrontends, a)
	}
	return nil
}

// hosts takes docker's NAME:IP, and NAME=IP.
func (p *plan) hosts(values []string) error {
	p.build.Hosts = map[string]string{}
	for _, v := range values {
		i := strings.IndexAny(v, "=:")
		if i <= 0 {
			return usagef("", "--add-host %q is not of the form NAME:IP", v)
		}
		ip := strings.Trim(v[i+1:], "[]")
		if net.ParseIP(ip) == nil {
			return usagef("", "--add-host %q: %q is no IP address", v, ip)
		}
		p.build.Hosts[v[:i]] = ip
	}
	return nil
}

func (p *plan) entitlements(c *cli.Context) error {
	p.build.Entitlements = slices.DeleteFunc(c.StringSlice("allow"), func(v string) bool { return v == entitlementDelete })
	for _, v := range p.build.Entitlements {
		if _, _, err := entitlements.Parse(v); err != nil {
			return usagef("", "--allow %q is not one of network.host, security.insecure, device, %s", v, entitlementDelete)
		}
	}
	switch network := c.String("network"); network {
	case "", "default":
	case "host":
		// Whoever says so allows it, as in buildx; the builder's configuration
		// must do so too.
		p.build.Network = network
		if allowed := string(entitlements.EntitlementNetworkHost); !slices.Contains(p.build.Entitlements, allowed) {
			p.build.Entitlements = append(p.build.Entitlements, allowed)
		}
	case "none":
		p.build.Network = network
	default:
		return usagef("", "--network %q is not one of default, none, host", network)
	}
	return nil
}
