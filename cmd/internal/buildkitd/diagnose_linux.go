package buildkitd

import (
	"bytes"
	"os"
	"strconv"
	"strings"
)

// logLines is how much of its log explains why a daemon did not start.
const logLines = 20

func tail(path string, lines int) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	all := bytes.Split(bytes.TrimRight(raw, "\n"), []byte("\n"))
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return strings.ToValidUTF8(string(bytes.Join(all, []byte("\n"))), "?")
}

// startHint names the likely reasons on this machine for a daemon that did not
// start, going by its log and the kernel's settings.
func startHint(log string) string {
	var hints []string
	add := func(s string) { hints = append(hints, s) }
	if strings.Contains(log, "another instance running") {
		add("stop the other buildkitd, or name another state directory by XDG_CACHE_HOME")
	}
	if strings.Contains(log, "no space left on device") {
		add("the disk is full: free some space")
	}
	if os.Geteuid() == 0 {
		if !mayMount() {
			add("this root may not mount (no CAP_SYS_ADMIN): use a privileged container, or run as an ordinary user")
		}
		return strings.Join(hints, "\n")
	}
	if sysctl("user/max_user_namespaces") == "0" {
		add("user namespaces are off: sudo sysctl -w user.max_user_namespaces=28633")
	}
	if sysctl("kernel/unprivileged_userns_clone") == "0" {
		add("user namespaces are for root only: sudo sysctl -w kernel.unprivileged_userns_clone=1")
	}
	if sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1" {
		add("AppArmor restricts user namespaces (Ubuntu 24.04 and later): give rootlesskit a profile that allows userns, or sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0")
	}
	if len(hints) == 0 && strings.Contains(log, "operation not permitted") {
		add("in a container, user namespaces and mounts need seccomp and AppArmor to be unconfined, and newuidmap to be setuid")
	}
	return strings.Join(hints, "\n")
}

func sysctl(name string) string {
	raw, _ := os.ReadFile("/proc/sys/" + name)
	return strings.TrimSpace(string(raw))
}

// mayMount reports CAP_SYS_ADMIN, assuming it when that cannot be told.
func mayMount() bool {
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return true
	}
	for line := range strings.Lines(string(raw)) {
		if value, ok := strings.CutPrefix(line, "CapEff:"); ok {
			caps, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
			return err != nil || caps&(1<<21) != 0
		}
	}
	return true
}
