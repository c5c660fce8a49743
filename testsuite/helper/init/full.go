package main

import (
	"os"
	"strings"

	"github.com/seatrial/seatrial/testsuite/helper/protocol"
	"golang.org/x/sys/unix"
)

// What is named has a place reserved in the result.
const (
	maxFilesystems = 4
	longestPath    = 256
)

// fullFilesystems are the filesystems that nothing can be written to any more because they
// are full. What lies on a disk is on that of the builder: one of them is enough.
func fullFilesystems() []protocol.Filesystem {
	raw, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	var out []protocol.Filesystem
	disk := false
	for line := range strings.Lines(string(raw)) {
		v, ok := parseMount(line)
		if !ok || !v.Memory && disk || len(out) == maxFilesystems || len(v.Path) > longestPath || !isFull(v.Path) {
			continue
		}
		out, disk = append(out, v), disk || !v.Memory
	}
	return out
}

// parseMount reads a line of mountinfo, as proc_pid_mountinfo(5) has it. It is not for
// what nobody stores files in, or cannot write to.
func parseMount(line string) (protocol.Filesystem, bool) {
	own, fs, ok := strings.Cut(line, " - ")
	fields, kind := strings.Fields(own), strings.Fields(fs)
	if !ok || len(fields) < 6 || len(kind) == 0 {
		return protocol.Filesystem{}, false
	}
	root, path, options := fields[3], fields[4], fields[5]
	switch kind[0] {
	case "proc", "sysfs", "cgroup", "cgroup2", "mqueue", "devpts":
		return protocol.Filesystem{}, false
	}
	if strings.HasPrefix(options, "ro,") || options == "ro" || path == protocol.BinDir {
		return protocol.Filesystem{}, false
	}
	path = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\134`, `\`).Replace(path)
	// What is mounted from a part of another filesystem is the builder's, whatever
	// that is.
	return protocol.Filesystem{Path: path, Memory: kind[0] == "tmpfs" && root == "/"}, true
}

// isFull has a little left, which others may have given back since.
func isFull(path string) bool {
	const little, percent = 1 << 20, 2
	var st unix.Statfs_t
	if unix.Statfs(path, &st) != nil || st.Blocks == 0 {
		return false
	}
	left := st.Bavail * uint64(st.Bsize) //nolint:gosec // it is positive
	return left < little && st.Bavail*100 < st.Blocks*percent || st.Files > 0 && st.Ffree == 0
}
