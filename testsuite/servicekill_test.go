package testsuite

import (
	"bufio"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/client"

	"github.com/seatrial/seatrial/llb"
)

// TestServicesEndWithTheClient has a client that is killed, which can tidy up nothing:
// the builder is left with no process, no socket, and no more cache records each time.
func TestServicesEndWithTheClient(t *testing.T) {
	if marker := os.Getenv("SEATRIAL_TO_BE_KILLED"); marker != "" {
		runToBeKilled(t, marker)
		return
	}
	// One of its own: what other tests had there may be given up at any time.
	onEachOwn(t, func(t *testing.T, b *builder) {
		killOne(t, b)
		before := b.atRest(t, math.MaxInt)
		for range 2 {
			killOne(t, b)
		}
		b.atRest(t, before)
		left := &Suite{Tests: []Test{{Command: unique(t) + "ls -A /all", User: "root", Mounts: []Mount{{Type: MountCache, ID: meshID, Target: "/all"}}}}}
		rep, err := b.solve(t, "FROM busybox\n", left)
		if log := string(rep.Cases[0].Output.Log); err != nil || strings.TrimSpace(log) != "" {
			t.Errorf("after the killed runs there are sockets left: %q, %v", log, err)
		}
	})
}

// killOne kills a client while its test runs, and waits for the end of that and of the
// service.
func killOne(t *testing.T, b *builder) {
	t.Helper()
	marker := "killed" + time.Now().Format("150405.000000000")
	cmd := exec.Command(os.Args[0], "-test.run=^TestServicesEndWithTheClient$")
	cmd.Env = append(os.Environ(), "SEATRIAL_TO_BE_KILLED="+marker, "SEATRIAL_ADDR="+b.addr, "SEATRIAL_IMAGE="+b.image,
		"TMPDIR="+t.TempDir()) // which it will not remove
	says, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(says); lines.Text() != "begun"; {
		if !lines.Scan() {
			t.Fatalf("the test has not begun: %v, %v", lines.Err(), cmd.Wait())
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // says that it was killed
	allEnd(t, marker, "the client was killed")
}

// atRest waits until the builder has no filesystem that somebody writes to, beside those
// that it keeps as such, and at most as many cache records as given, and says how many.
func (b *builder) atRest(t *testing.T, most int) int {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		records, err := b.client.DiskUsage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		written := slices.ContainsFunc(records, func(u *client.UsageInfo) bool { return u.Mutable && u.RecordType == client.UsageRecordTypeRegular })
		if !written && len(records) <= most {
			return len(records)
		}
		if time.Now().After(deadline) {
			t.Fatalf("the builder still has %d cache records, of at most %d: %+v", len(records), most, records)
		}
	}
}

func runToBeKilled(t *testing.T, marker string) {
	c, err := client.New(t.Context(), os.Getenv("SEATRIAL_ADDR"))
	if err != nil {
		t.Fatal(err)
	}
	b := &builder{client: c, image: os.Getenv("SEATRIAL_IMAGE")}
	logs := func(st *client.SolveStatus) {
		for _, l := range st.Logs {
			_, _ = os.Stdout.Write(l.Data) // to killOne
		}
	}
	_, err = b.solveWith(t, llb.Options{Status: logs}, "FROM busybox\n", &Suite{Tests: []Test{{Command: ": test " + marker + "; echo begun; sleep 1000", Services: []Service{
		{Name: "db", Ports: []int{5432}, Shell: ": service " + marker + "; " + echo("5432", "x")},
	}}}})
	t.Fatal(err)
}
