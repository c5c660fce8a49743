package main

import (
	"strconv"
	"strings"

	"github.com/docker/go-units"
	bkllb "github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/util/cpuset"
	"github.com/urfave/cli/v2"
)

// resourceKeys are the limits that --resource takes. Each is also a flag of docker
// build of before BuildKit.
var resourceKeys = []string{"memory", "memory-swap", "cpu-shares", "cpu-period", "cpu-quota", "cpuset-cpus", "cpuset-mems"}

// resources are flags about what each RUN instruction and test may take.
func (p *plan) resources(c *cli.Context) error {
	var values []string
	for _, key := range resourceKeys {
		if v := c.String(key); v != "" {
			values = append(values, key+"="+v)
		}
	}
	for _, v := range append(values, c.StringSlice("resource")...) {
		key, value, ok := strings.Cut(v, "=")
		if !ok {
			return usagef("", "--resource %q is not of the form KEY=VALUE", v)
		}
		if err := setResource(&p.build.Resources, strings.TrimSpace(key), strings.TrimSpace(value)); err != nil {
			return err
		}
	}
	return nil
}

func setResource(r *bkllb.LinuxResources, key, value string) error {
	var err error
	switch key {
	case "memory":
		r.Memory, err = bytesOf(value)
	case "memory-swap":
		if r.MemorySwap = -1; value != "-1" {
			r.MemorySwap, err = bytesOf(value)
		}
	case "cpu-shares":
		r.CPUShares, err = strconv.ParseUint(value, 10, 63)
	case "cpu-period":
		r.CPUPeriod, err = strconv.ParseUint(value, 10, 63)
	case "cpu-quota":
		var n uint64
		n, err = strconv.ParseUint(value, 10, 63)
		r.CPUQuota = int64(n)
	case "cpuset-cpus":
		r.CpusetCpus, err = value, cpuset.Validate(value)
	case "cpuset-mems":
		r.CpusetMems, err = value, cpuset.Validate(value)
	default:
		return usagef("", "--resource %s=%s: %q is not one of %s", key, value, key, strings.Join(resourceKeys, ", "))
	}
	if err != nil {
		return usagef("a limit looks like memory=2g, cpu-quota=50000 or cpuset-cpus=0-1", "--resource %s=%s: %w", key, value, err)
	}
	return nil
}

// bytesOf reads a size as docker has it: 64m.
func bytesOf(v string) (int64, error) { return units.RAMInBytes(v) }
