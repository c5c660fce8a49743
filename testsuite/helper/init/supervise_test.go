package main

import (
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestEndBeforeLimit has a command be over when its time is: that nobody had the processor
// to see its end before that is no fault of the command.
func TestEndBeforeLimit(t *testing.T) {
	for range 50 {
		pid, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", "exit 3"}, &syscall.ProcAttr{})
		if err == nil {
			err = unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		said := ""
		out := supervise(pid, watch{limit: time.Nanosecond, grace: time.Hour, ending: func(why string) { said = why }})
		if out.timedOut || said != "" || out.status.ExitStatus() != 3 {
			t.Fatalf("supervise(a command that has ended) = %+v, said %q, want exit code 3", out, said)
		}
	}
}
