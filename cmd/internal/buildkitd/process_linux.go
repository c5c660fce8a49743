package buildkitd

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// pollInterval paces the waits for a socket, a lock, a process: short beside
// the 0.2 s that buildkitd needs, long beside the cost of a look.
const pollInterval = 10 * time.Millisecond

// A process is told from a later one with the same number by its start time,
// and from one before a reboot by the boot's id.
type process struct {
	PID   int    `json:"pid"`
	Start string `json:"start"`
	Boot  string `json:"boot"`
}

func identify(pid int) (process, error) {
	_, start, err := stat(pid)
	if err != nil {
		return process{}, err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return process{}, fmt.Errorf("reading boot id: %w", err)
	}
	return process{PID: pid, Start: start, Boot: strings.TrimSpace(string(boot))}, nil
}

// stat returns the state letter and the start time of /proc/PID/stat.
func stat(pid int) (state, start string, err error) {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", "", err
	}
	// The command's name, in parentheses, may hold anything.
	end := bytes.LastIndexByte(raw, ')')
	fields := strings.Fields(string(raw[end+1:]))
	if end < 0 || len(fields) < 20 {
		return "", "", fmt.Errorf("reading /proc/%d/stat: unexpected form %q", pid, raw)
	}
	return fields[0], fields[19], nil
}

func (p process) alive() bool {
	if p.PID <= 0 {
		return false
	}
	now, err := identify(p.PID)
	return err == nil && now == p && !ended(p.PID)
}

// ended reports whether the process runs no more, reaped or not. The first
// thread can be a zombie while others, on their way out, still hold the files
// and their locks.
func ended(pid int) bool {
	state, _, err := stat(pid)
	if err != nil || state == "X" {
		return true
	}
	threads, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
	return state == "Z" && (err != nil || len(threads) <= 1)
}

// signal sends sig to the process and to no other that got its number.
func (p process) signal(sig os.Signal) error {
	handle, err := os.FindProcess(p.PID) // a pidfd: it cannot be reused
	if err != nil {
		return err
	}
	defer handle.Release()
	if !p.alive() {
		return os.ErrProcessDone
	}
	return handle.Signal(sig)
}

// gone waits until the process has ended, or the time is up.
func (p process) gone(limit time.Duration) bool {
	for deadline := time.Now().Add(limit); p.alive(); time.Sleep(pollInterval) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// stop asks the daemon to end and then makes it; how says which it took. One
// signal goes to one process: rootlesskit passes it on, and buildkitd counts
// how many it gets.
func (p process) stop(grace time.Duration) (how ending, err error) {
	if err := p.signal(unix.SIGTERM); errors.Is(err, os.ErrProcessDone) {
		return dead, nil
	} else if err != nil {
		return dead, fmt.Errorf("stopping process %d: %w", p.PID, err)
	}
	if p.gone(grace) {
		return orderly, nil
	}
	// The daemon leads a process group, with rootlesskit's child in it.
	if err := unix.Kill(-p.PID, unix.SIGKILL); err != nil && err != unix.ESRCH {
		return killed, fmt.Errorf("killing process group %d: %w", p.PID, err)
	}
	if !p.gone(killLimit) {
		return killed, fmt.Errorf("process %d does not end", p.PID)
	}
	return killed, nil
}

// ending is how a daemon ended; only an orderly end leaves nothing behind.
type ending int

const (
	dead ending = iota // it was not running any more
	orderly
	killed
)
