package llb

import (
	"fmt"
	"strconv"

	bkllb "github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
)

// limitAttrs are r as the frontend contract spells it.
func limitAttrs(r bkllb.LinuxResources) map[string]string {
	attrs := map[string]string{}
	for k, v := range map[string]int64{
		"memory": r.Memory, "memswap": r.MemorySwap, "cpuquota": r.CPUQuota,
		"cpushares": int64(r.CPUShares), "cpuperiod": int64(r.CPUPeriod),
	} {
		if v != 0 {
			attrs[k] = strconv.FormatInt(v, 10)
		}
	}
	for k, v := range map[string]string{"cpusetcpus": r.CpusetCpus, "cpusetmems": r.CpusetMems} {
		if v != "" {
			attrs[k] = v
		}
	}
	return attrs
}

// checkLimits refuses limits that the daemon does not know. The frontend contract
// would have them ignored.
func (cv *conversion) checkLimits() error {
	if cv.ui.LinuxResources == nil || cv.limits() != nil {
		return nil
	}
	caps := cv.ui.BuildOpts().LLBCaps
	return fmt.Errorf("limiting the resources of steps: %w", caps.Supports(pb.CapExecMetaLinuxResources))
}

// limits are those of every RUN instruction, nil if there are none, or the daemon
// knows none.
func (cv *conversion) limits() *bkllb.LinuxResources {
	r, caps := cv.ui.LinuxResources, cv.ui.BuildOpts().LLBCaps
	if r == nil || caps.Supports(pb.CapExecMetaLinuxResources) != nil {
		return nil
	}
	return &bkllb.LinuxResources{
		Memory: r.Memory, MemorySwap: r.MemorySwap, CPUShares: r.CpuShares, CPUPeriod: r.CpuPeriod,
		CPUQuota: r.CpuQuota, CpusetCpus: r.CpusetCpus, CpusetMems: r.CpusetMems,
	}
}
