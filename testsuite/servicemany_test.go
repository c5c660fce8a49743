package testsuite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seatrial/seatrial/llb"
)

// TestManyAtOnce has eight builds at the same time, whose services have the same names and
// ports. Two of them are one and the same, of which the daemon may make one.
func TestManyAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, b *builder) {
		same := unique(t)
		var wg sync.WaitGroup
		for i := range 8 {
			says := "x" + string(rune('a'+i))
			command := connect + unique(t) + `[ "$(ask db 5432)" = ` + says + ` ]`
			if i < 2 {
				says = "same"
				command = connect + same + `[ "$(ask db 5432)" = same ]`
			}
			s := &Suite{Tests: []Test{{Command: command, Services: []Service{{Name: "db", Ports: []int{5432}, Shell: echo("5432", says)}}}}}
			wg.Go(func() {
				if rep, err := b.solve(t, "FROM busybox\n", s); err != nil {
					t.Errorf("run %d: %v: %s", i, err, rep.Cases[0].Output.Log)
				}
			})
		}
		wg.Wait()
	})
}

// TestServicesEndWithTheirTest has one that says when it ends: after a pass, a failure, and
// an interruption.
func TestServicesEndWithTheirTest(t *testing.T) {
	onEach(t, func(t *testing.T, b *builder) {
		for _, test := range []struct {
			name, command string
			interrupt     bool
		}{
			{"passes", "true", false}, {"fails", "false", false}, {"is interrupted", "nc db 5432 </dev/null; sleep 1000", true},
		} {
			t.Run(test.name, func(t *testing.T) {
				gone := make(chan struct{})
				marker := fmt.Sprintf("this is %d of %d", time.Now().UnixNano(), os.Getpid())
				s := &Suite{Tests: []Test{{Command: unique(t) + test.command, Services: []Service{{Name: "db", Ports: []int{5432}, Shell: ": " + marker + ";" + echo("5432", "x")}}}}}
				ctx, cancel := context.WithCancelCause(context.Background())
				defer cancel(nil)
				go func() {
					defer close(gone)
					if !test.interrupt {
						return
					}
					for s.running() == nil {
						time.Sleep(time.Millisecond)
					}
					cancel(errors.New("interrupted"))
				}()
				_, err := b.solveIn(ctx, t, llb.Options{}, "FROM busybox\n", s)
				if test.interrupt && err == nil {
					t.Error("an interrupted run has passed")
				}
				<-gone
				k := s.runs[0].stack()
				if k == nil {
					t.Fatal("no service was started")
				}
				allEnd(t, marker, "the run")
			})
		}
	})
}

// allEnd waits until there are no processes on this machine with a word in their command
// line: for each to end, a minute at most.
func allEnd(t *testing.T, word, after string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for left := pids(t, word); len(left) > 0; left = pids(t, word) {
		fd, err := unix.PidfdOpen(left[0], 0)
		if err != nil {
			continue // it has just ended
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(max(0, time.Until(deadline).Milliseconds())))
		unix.Close(fd)
		if n == 0 || err != nil && !errors.Is(err, unix.EINTR) {
			t.Fatalf("%d processes are left after %s: %v", len(left), after, err)
		}
	}
}

func pids(t *testing.T, word string) []int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var out []int
	for _, name := range files {
		pid, perr := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if raw, err := os.ReadFile(name); err == nil && perr == nil && bytes.Contains(raw, []byte(word)) {
			out = append(out, pid)
		}
	}
	return out
}

// running are the services of the first test once it was let go.
func (s *Suite) running() *stack {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.runs) == 0 || s.runs[0].rings == nil {
		return nil
	}
	g := s.runs[0].rings
	g.mu.Lock()
	k := g.stack
	g.mu.Unlock()
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.running {
		return nil
	}
	return k
}
