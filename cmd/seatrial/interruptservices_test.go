package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seatrial/seatrial/hack/testenv"
)

// TestInterruptServices has a test with services interrupted, one of which is deaf to what
// ends the polite: all end, what they printed until then is kept, and no tag moves.
func TestInterruptServices(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ref, reports := w.registry.Host+"/acme/interrupted", t.TempDir()
		test, polite, deaf := marker(), marker(), marker()
		c := start(t, w.env(), "run", "-t", ref, "--report-dir", reports, testenv.Dir(t, "Dockerfile", plainDockerfile, "seatrial.yaml", `
tests:
  - name: long
    run: exec `+test+`
    services:
      - {name: polite, from: built, run: "echo polite begins; exec `+polite+`"}
      - {name: deaf, from: built, run: "trap '' TERM INT HUP; echo deaf begins; `+deaf+`; true"}
`))
		all := []string{test, polite, deaf}
		for _, line := range all {
			become(t, line, true, time.Minute) // else nothing would be seen to end
		}
		c.signal(syscall.SIGINT)
		told := time.Now()
		for _, line := range all { // a second, on a machine with nothing else to do
			become(t, line, false, 10*time.Second)
		}
		t.Logf("all have ended after %s", time.Since(told))
		c.exits(130)
		c.says("no tag moved", "not run")
		if got := resolve(t.Fatalf, ref); got != "none" {
			t.Errorf("after an interruption the tag is %s, want none", got)
		}
		for _, name := range []string{"polite", "deaf"} {
			log, err := os.ReadFile(filepath.Join(reports, "long/services", name+".log"))
			if err != nil || !strings.Contains(string(log), name+" begins\n") {
				t.Errorf("the log of %s is %q, %v, want what it printed", name, log, err)
			}
		}
	})
}
