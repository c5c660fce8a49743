package testenv

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// leftovers lists processes and mounts of any daemon that was started.
func (e *environment) leftovers() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var left []string
	for _, d := range e.daemons {
		for _, pid := range processes(func(pid int) bool { return session(pid) == d.PID || rootedIn(pid, d.Dir) }) {
			cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			left = append(left, fmt.Sprintf("process %d: %s", pid, strings.ReplaceAll(string(cmdline), "\x00", " ")))
		}
		for _, point := range mountsBelow(d.tmp, d.Dir) {
			left = append(left, "mount "+point)
		}
		if _, err := os.Lstat(d.tmp); err == nil {
			left = append(left, "directory "+d.tmp)
		}
	}
	return left
}

// killSteps kills build steps of a daemon that was killed itself: a step's
// first process survives buildkitd and runc. Its root is made of the state
// directory's files.
func (d *Daemon) killSteps() error {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		pids := processes(func(pid int) bool { return rootedIn(pid, d.Dir) })
		if len(pids) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("build steps %v do not end", pids)
		}
		for _, pid := range pids {
			d.sendSignal(syscall.SIGKILL, pid)
		}
	}
}

// deleteContainers removes what a rootful runc keeps of such steps in /run and
// in the cgroups.
func (d *Daemon) deleteContainers() error {
	if d.Kind != Root {
		return nil
	}
	out, err := d.listContainers()
	if err != nil {
		return err
	}
	var containers []struct{ ID, Bundle string }
	if err := json.Unmarshal(out, &containers); err != nil {
		return err
	}
	for _, c := range containers {
		if strings.HasPrefix(c.Bundle, d.Dir+"/") {
			if _, err := d.asRoot("runc", "delete", "--force", c.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// listContainers asks runc for its containers, of all daemons. It fails if one of them
// goes away just then, so it is asked again.
func (d *Daemon) listContainers() (out []byte, err error) {
	for range 20 {
		if out, err = d.asRoot("runc", "list", "--format", "json"); err == nil {
			return out, nil
		}
		time.Sleep(25 * time.Millisecond)
	}
	return nil, err
}

func (d *Daemon) asRoot(name string, args ...string) ([]byte, error) {
	if d.sudo() {
		args = append([]string{"-n", name}, args...)
		name = "sudo"
	}
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return nil, fmt.Errorf("running %s %s: %w", name, strings.Join(args, " "), err)
	}
	return out, nil
}

func processes(match func(pid int) bool) []int {
	entries, _ := os.ReadDir("/proc")
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err == nil && match(pid) && !slices.Contains([]string{"Z", "X", ""}, statField(pid, 0)) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// session is the session of a process; a daemon leads one of its own.
func session(pid int) int {
	id, err := strconv.Atoi(statField(pid, 3))
	if err != nil {
		return 0
	}
	return id
}

// statField counts from the state letter of /proc/PID/stat.
func statField(pid, field int) string {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, rest, ok := strings.Cut(string(raw[strings.LastIndexByte(string(raw), '('):]), ") ")
	fields := strings.Fields(rest)
	if !ok || len(fields) <= field {
		return ""
	}
	return fields[field]
}

func rootedIn(pid int, state string) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(raw)) {
		fields := strings.Fields(line)
		if len(fields) > 4 && fields[4] == "/" &&
			(strings.Contains(line, "dir="+state+"/") || strings.HasPrefix(fields[3], state+"/")) {
			return true
		}
	}
	return false
}

// mountsBelow returns mount points in the directories, the last mounted first.
func mountsBelow(dirs ...string) []string {
	raw, _ := os.ReadFile("/proc/self/mountinfo")
	var points []string
	for line := range strings.Lines(string(raw)) {
		fields := strings.Fields(line)
		below := func(dir string) bool { return len(fields) > 4 && strings.HasPrefix(fields[4], dir+"/") }
		if slices.ContainsFunc(dirs, below) {
			points = append(points, fields[4])
		}
	}
	slices.Reverse(points)
	return points
}

// unmount detaches what a rootful daemon left mounted when it was killed.
func (d *Daemon) unmount() error {
	var errs []error
	for _, point := range mountsBelow(d.tmp, d.Dir) {
		if d.sudo() {
			errs = append(errs, run("sudo", "-n", "umount", "-l", point))
		} else {
			errs = append(errs, syscall.Unmount(point, 2 /* MNT_DETACH */))
		}
	}
	return errors.Join(errs...)
}

// remove deletes a directory in which files may belong to root or to
// subordinate ids.
func remove(dir string) error {
	err := os.RemoveAll(dir)
	if err == nil || os.Geteuid() == 0 {
		return err
	}
	if kit, err := binary("rootlesskit"); err == nil && run(kit, "--net=host", "rm", "-rf", "--", dir) == nil {
		return nil
	}
	return run("sudo", "-n", "rm", "-rf", "--", dir)
}

// sudo reports whether the daemon belongs to root and the tests do not.
func (d *Daemon) sudo() bool { return d.Kind == Root && os.Geteuid() != 0 }

// signal goes to the one process that was started: sudo and rootlesskit pass
// it on, and buildkitd counts the signals it gets.
func (d *Daemon) signal(sig syscall.Signal) { d.kill(sig, d.PID) }

func (d *Daemon) signalGroup(sig syscall.Signal) { d.kill(sig, -d.PID) }

func (d *Daemon) kill(sig syscall.Signal, pid int) {
	select {
	case <-d.exited: // the number may be another process's by now
		return
	default:
		d.sendSignal(sig, pid)
	}
}

func (d *Daemon) sendSignal(sig syscall.Signal, pid int) {
	if d.sudo() {
		run("sudo", "-n", "kill", fmt.Sprintf("-%d", sig), "--", strconv.Itoa(pid))
		return
	}
	syscall.Kill(pid, sig)
}

func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("running %s %s: %w: %s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
	return nil
}
