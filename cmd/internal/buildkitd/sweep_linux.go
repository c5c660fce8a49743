package buildkitd

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// killLimit bounds the wait for the kernel to end a process after SIGKILL.
const killLimit = 5 * time.Second

// A buildkitd that was killed leaves the processes of its build steps running
// (runc dies with it, the container's first process does not) and, if rootful,
// their mounts. Neither is in its process group. What gives them away is the
// state directory: in the command line of the daemon, and in the root mount of
// a step.

// killDaemons ends daemons of ours on this state that no record tells of.
func (h home) killDaemons() error {
	root := "--root=" + h.state
	name := string(filepath.Separator) + filepath.Join(filepath.Base(h.runtime), socketName)
	return killAll(func(pid int) bool {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil {
			return false
		}
		args := strings.Split(string(raw), "\x00")
		return slices.Contains(args, root) && slices.ContainsFunc(args, func(arg string) bool {
			return strings.HasPrefix(arg, "--addr=unix://") && strings.HasSuffix(arg, name)
		})
	})
}

// killSteps ends build steps that outlived their daemon.
func (h home) killSteps() error { return killAll(h.isStep()) }

// isStep tells the processes of build steps.
func (h home) isStep() func(pid int) bool {
	own, _ := os.Readlink("/proc/self/ns/mnt") // without it our own namespace has no root here either
	return func(pid int) bool {
		ns, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", pid))
		if err != nil || ns == own {
			return false
		}
		mounts, err := readMounts(fmt.Sprintf("/proc/%d/mountinfo", pid))
		if err != nil {
			return false
		}
		// Only the root counts: a namespace made while a step ran has a copy of
		// every mount, and its processes are none of our business.
		return slices.ContainsFunc(mounts, func(m mount) bool { return m.point == "/" && m.uses(h.state) })
	}
}

// killAll kills the processes that match, until none is left.
func killAll(match func(pid int) bool) error {
	for deadline := time.Now().Add(killLimit); ; time.Sleep(pollInterval) {
		pids, err := matching(match)
		if err != nil || len(pids) == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("killing leftover processes %v: they do not end", pids)
		}
		for _, pid := range pids {
			if err := unix.Kill(pid, unix.SIGKILL); err != nil && err != unix.ESRCH {
				return fmt.Errorf("killing leftover process %d: %w", pid, err)
			}
		}
	}
}

func matching(match func(pid int) bool) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() || !match(pid) {
			continue
		}
		if !ended(pid) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// deleteContainers removes what runc keeps of build steps in /run and in the
// cgroups. Only root's: a rootless runc keeps it in our runtime directory.
func (h home) deleteContainers() error {
	if os.Geteuid() != 0 || h.oci == "" {
		return nil
	}
	out, err := h.listContainers()
	if err != nil {
		return nil // a runc that cannot even list has made nothing
	}
	var containers []struct{ ID, Bundle string }
	if err := json.Unmarshal(out, &containers); err != nil {
		return fmt.Errorf("listing leftover containers: %w", err)
	}
	for _, c := range containers {
		if !strings.HasPrefix(c.Bundle, h.state+"/") {
			continue
		}
		if out, err := exec.Command(h.oci, "delete", "--force", c.ID).CombinedOutput(); err != nil {
			return fmt.Errorf("deleting leftover container %s: %w: %s", c.ID, err, bytes.TrimSpace(out))
		}
	}
	return nil
}

// listContainers asks runc for its containers, of all daemons. It fails if one of them
// goes away just then, so it is asked again.
func (h home) listContainers() (out []byte, err error) {
	for range 20 {
		if out, err = exec.Command(h.oci, "list", "--format", "json").Output(); err == nil {
			return out, nil
		}
		time.Sleep(25 * time.Millisecond)
	}
	return nil, err
}

// unmount detaches what a rootful daemon left mounted. A rootless one's mounts
// went with its namespace.
func (h home) unmount() error {
	if os.Geteuid() != 0 {
		return nil
	}
	mounts, err := readMounts("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	slices.Reverse(mounts) // the last one mounted lies on top
	var errs []error
	for _, m := range mounts {
		if !strings.HasPrefix(m.point, h.state+"/") {
			continue
		}
		if err := unix.Unmount(m.point, unix.MNT_DETACH); err != nil && err != unix.EINVAL {
			errs = append(errs, fmt.Errorf("unmounting %s: %w", m.point, err))
		}
	}
	return errors.Join(errs...)
}

// A mount is a line of mountinfo.
type mount struct {
	root    string // which part of the filesystem
	point   string
	options string // of the filesystem; an overlay's directories are there
}

// uses reports whether the mount is made of files below dir: an overlay of
// them, or (native snapshotter) a bind mount.
func (m mount) uses(dir string) bool {
	return strings.Contains(m.options, "dir="+dir+"/") || strings.HasPrefix(m.root, dir+"/")
}

func readMounts(path string) ([]mount, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading mounts: %w", err)
	}
	defer f.Close()
	var mounts []mount
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		// ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAG…] - TYPE SOURCE FSOPTIONS
		left, right, ok := strings.Cut(lines.Text(), " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !ok || len(l) < 6 || len(r) < 3 {
			continue
		}
		mounts = append(mounts, mount{root: unescape(l[3]), point: unescape(l[4]), options: unescape(r[2])})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading mounts: %w", err)
	}
	return mounts, nil
}

// unescape undoes mountinfo's octal escapes of blanks and backslashes.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
