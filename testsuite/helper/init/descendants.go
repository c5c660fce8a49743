package main

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// adopt makes this process the parent of every orphan below it. The first process
// of a PID namespace is that anyway, but not all daemons give a container one.
func adopt() error {
	return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
}

// signalAll sends a signal to every process that the command has started.
func signalAll(s unix.Signal) {
	if os.Getpid() == 1 {
		_ = unix.Kill(-1, s) // all but this one; an error means that there are none
		return
	}
	for _, pid := range descendants(os.Getpid()) {
		_ = unix.Kill(pid, s) // it may have ended since
	}
}

// descendants lists the processes below one: the others on a machine whose PID
// namespace the container shares are nobody's business here.
func descendants(root int) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	children := map[int][]int{}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			parent := parentOf(pid)
			children[parent] = append(children[parent], pid)
		}
	}
	all := children[root]
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// parentOf reads /proc/PID/stat: "PID (NAME) STATE PPID …", where the name may hold
// anything. It is 0 for a process that is gone.
func parentOf(pid int) int {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return 0
	}
	parent, err := strconv.Atoi(string(fields[1]))
	if err != nil {
		return 0
	}
	return parent
}
