package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/seatrial/seatrial/testsuite/helper/protocol"
	"golang.org/x/sys/unix"
)

const (
	// again is how long a killed process may take to be gone, before those that
	// were started meanwhile are killed.
	again = 20 * time.Millisecond
	// hopeless is how long after SIGKILL a process that is still there is left to
	// whoever can end it: it belongs to somebody else, or hangs in the kernel.
	hopeless = 400 * time.Millisecond
)

// watch says when to end a command that does not end by itself.
type watch struct {
	limit   time.Duration // 0: none
	grace   time.Duration // between SIGTERM and SIGKILL
	stop    <-chan protocol.Abort
	signals <-chan os.Signal
	told    unix.Signal      // the one after which any end is a good one; 0: none
	ending  func(why string) // is told before SIGTERM is sent
}

// outcome is how a command ended.
type outcome struct {
	status   unix.WaitStatus
	maxRSS   int64
	timedOut bool
	abort    *protocol.Abort // what came from watch.stop
	told     bool            // watch.told came before the command ended
}

// supervise waits for a command and for every process that it leaves behind,
// which it ends.
func supervise(pid int, w watch) outcome {
	var out outcome
	exited := make(chan reaped, 16)
	go reap(exited)
	var limit, kill, giveUp <-chan time.Time
	if w.limit > 0 {
		timer := time.NewTimer(w.limit)
		defer timer.Stop()
		limit = timer.C
	}
	end := func() {
		if kill != nil {
			return
		}
		signalAll(unix.SIGTERM)
		kill, giveUp = time.After(w.grace), time.After(w.grace+hopeless)
	}
	stop := w.stop
	for {
		select {
		case r, more := <-exited:
			if !more {
				return out
			}
			if r.pid == pid {
				out.status, out.maxRSS = r.status, r.maxRSS
				limit, stop, w.told = nil, nil, 0
				end()
			}
		case <-limit:
			if limit = nil; over(pid) { // which exited tells, now or soon
				continue
			}
			out.timedOut = true
			w.ending(fmt.Sprintf("the time limit of %s is over", w.limit))
			end()
		case a := <-stop:
			out.abort, stop, limit = &a, nil, nil
			w.ending(a.Reason)
			end()
		case <-kill:
			signalAll(unix.SIGKILL)
			kill = time.After(again)
		case <-giveUp:
			return out
		case s := <-w.signals:
			if s, ok := s.(unix.Signal); ok {
				out.told = out.told || s == w.told
				_ = unix.Kill(pid, s) // it may have ended just now
			}
		}
	}
}

// over tells whether a child has ended, be it waited for already or not.
func over(pid int) bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return errors.Is(err, unix.ECHILD) || err == nil && info.Signo != 0
}

// reaped is a process that has ended.
type reaped struct {
	pid    int
	status unix.WaitStatus
	maxRSS int64
}

// reap waits for processes until there are none left, and closes the channel.
func reap(exited chan<- reaped) {
	defer close(exited)
	for {
		var status unix.WaitStatus
		var usage unix.Rusage
		pid, err := unix.Wait4(-1, &status, 0, &usage)
		switch {
		case err == nil:
			exited <- reaped{pid, status, int64(usage.Maxrss) * 1024} //nolint:unconvert // an int32 on some architectures
		case !errors.Is(err, unix.EINTR): // ECHILD
			return
		}
	}
}
