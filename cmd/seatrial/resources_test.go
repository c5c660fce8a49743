package main

import (
	"testing"

	"github.com/seatrial/seatrial/hack/testenv"
)

// The files of a limit are elsewhere in the two versions of cgroups.
const limitsDockerfile = `FROM busybox
RUN cat >/show.sh <<'EOT'
cd /sys/fs/cgroup
memory=$(cat memory/memory.limit_in_bytes 2>/dev/null || cat memory.max)
quota=$(cat cpu/cpu.cfs_quota_us 2>/dev/null || cut -d' ' -f1 cpu.max)
cpus=$(grep Cpus_allowed_list /proc/self/status)
echo $1: $memory $quota ${cpus#*:}
EOT
RUN sh /show.sh RUN
`

// TestResources limits what steps and tests may take. A rootless builder has no cgroups
// of its own here, and limits nothing.
func TestResources(t *testing.T) {
	w := newWorld(t, testenv.SharedDaemon(t, testenv.Root))
	project := testenv.Dir(t, "Dockerfile", limitsDockerfile)
	for name, args := range map[string][]string{
		"resource": {"--resource", "memory=64m", "--resource", "cpu-quota=50000", "--resource", "cpuset-cpus=0"},
		"docker":   {"-m", "64m", "--cpu-quota", "50000", "--cpuset-cpus=0"},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, w.env(), append([]string{"test", "--no-cache", "--test", "sh /show.sh test", project}, args...)...)
			c.exits(0)
			c.says(" RUN: 67108864 50000 0\n", " test: 67108864 50000 0\n")
		})
	}
}
