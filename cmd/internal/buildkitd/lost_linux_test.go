package buildkitd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestKilledUserLeavesADaemonToTheNext(t *testing.T) {
	accounts(t, func(t *testing.T, a *account) {
		first := a.connect(t)
		first.kill(t)
		if !running(first.Builder.PID) {
			t.Errorf("the daemon %d died with its user", first.Builder.PID)
		}
		second := a.connect(t)
		if second.Builder.PID != first.Builder.PID {
			t.Errorf("the next run has process %d, want %d", second.Builder.PID, first.Builder.PID)
		}
		second.close(t)
	})
}

// killDuringStep kills the daemon while a step runs in it. The step tells by a
// file in a place that both see that it runs: its own process.
func killDuringStep(t *testing.T, r *run) {
	t.Helper()
	mark := "31337" + fmt.Sprint(os.Getpid()%1000)
	if _, err := fmt.Fprintf(r.stdin, "run /busybox sleep %s\n", mark); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the step runs", func() bool {
		pids, _ := matching(func(pid int) bool {
			cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			return string(cmdline) == "/busybox\x00sleep\x00"+mark+"\x00"
		})
		return len(pids) > 0
	})
	signalGroup(t, r.Builder.PID, syscall.SIGKILL)
	if got := r.next(t); got.Err == "" {
		t.Error("the step succeeded on a daemon that was killed")
	}
}

func TestKilledDaemonIsClearedAwayByItsUser(t *testing.T) {
	accounts(t, func(t *testing.T, a *account) {
		r := a.connect(t)
		killDuringStep(t, r)
		r.close(t)
		a.checkNothingLeft(t)
		next := a.connect(t)
		next.close(t)
	})
}

func TestKilledDaemonIsClearedAwayByTheNextRun(t *testing.T) {
	accounts(t, func(t *testing.T, a *account) {
		r := a.connect(t)
		killDuringStep(t, r)
		r.kill(t)
		next := a.connect(t)
		if next.Builder.PID == r.Builder.PID {
			t.Errorf("the next run has the dead daemon %d", next.Builder.PID)
		}
		if got := next.do(t, "run echo fine"); got.Output != "fine\n" {
			t.Errorf("step on the new daemon = %q, %s", got.Output, got.Err)
		}
		next.close(t)
	})
}

func TestLostRecordDoesNotLoseTheDaemon(t *testing.T) {
	accounts(t, func(t *testing.T, a *account) {
		first := a.connect(t)
		first.kill(t)
		if err := os.Remove(filepath.Join(a.state(), "seatrial.json")); err != nil {
			t.Fatal(err)
		}
		second := a.connect(t)
		if running(first.Builder.PID) {
			t.Errorf("the daemon without a record, %d, runs", first.Builder.PID)
		}
		second.close(t)
	})
}

func TestHungDaemonIsReplacedWhenNobodyElseUsesIt(t *testing.T) {
	accounts(t, func(t *testing.T, a *account) {
		first := a.connect(t)
		signalGroup(t, first.Builder.PID, syscall.SIGSTOP)
		eventually(t, "the daemon has stopped", func() bool { // a busy one answers still
			going, err := matching(func(pid int) bool {
				group, _ := syscall.Getpgid(pid)
				state, _, err := stat(pid)
				return group == first.Builder.PID && err == nil && state != "T"
			})
			return err == nil && len(going) == 0
		})
		refused := a.start(t, "HELPER_TIMEOUT=300ms").next(t)
		if !refused.Typed || !strings.Contains(refused.Err, "asking the running daemon") {
			t.Errorf("Connect() to a hung daemon in use = %q", refused.Err)
		}
		first.kill(t)
		second := a.connect(t, "HELPER_TIMEOUT=300ms")
		if second.Builder.PID == first.Builder.PID {
			t.Errorf("the hung daemon %d is still in use", first.Builder.PID)
		}
		second.close(t)
	})
}
