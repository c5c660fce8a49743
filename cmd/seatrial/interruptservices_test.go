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

// stopped ends the output of a test that was.
const stopped = "\nseatrial: stopped here: this is what had arrived of its output\n"

// TestInterruptServices has a test with services interrupted, one of which is deaf to what
// ends the polite: all end, what they printed until then is kept, and no tag moves.
func TestInterruptServices(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ref, reports := w.registry.Host+"/acme/interrupted", t.TempDir()
		merged := filepath.Join(t.TempDir(), "junit.xml")
		test, polite, deaf := marker(), marker(), marker()
		c := start(t, w.env(), "run", "-t", ref, "--report-dir", reports, "--junit", merged, "--test-jobs", "1", testenv.Dir(t, "Dockerfile", plainDockerfile, "seatrial.yaml", `
tests:
  - name: long
    run: echo long begins; exec `+test+`
    services:
      - {name: polite, from: built, run: "echo polite begins; exec `+polite+`"}
      - {name: deaf, from: built, run: "trap '' TERM INT HUP; echo deaf begins; `+deaf+`; true"}
  - {name: later, run: "true"}
`))
		all := []string{test, polite, deaf}
		for _, line := range all {
			become(t, line, true) // else nothing would be seen to end
		}
		c.until("long begins")
		c.signal(syscall.SIGINT)
		told := time.Now()
		for _, line := range all { // a second, on a machine with nothing else to do
			become(t, line, false)
		}
		t.Logf("all have ended after %s", time.Since(told))
		c.exits(130)
		c.says("no tag moved", "tested  long  interrupted", "tested  later  not run")
		junit, err := os.ReadFile(merged)
		if err != nil || !strings.Contains(string(junit), `message="interrupted"`) || !strings.Contains(string(junit), `message="not run"`) {
			t.Errorf("the JUnit report is %s, %v, want both tests in it", junit, err)
		}
		if got := resolve(t.Fatalf, ref); got != "none" {
			t.Errorf("after an interruption the tag is %s, want none", got)
		}
		log, err := os.ReadFile(filepath.Join(reports, "long/output.log"))
		if err != nil || !strings.HasPrefix(string(log), "long begins\n") || !strings.HasSuffix(string(log), stopped) {
			t.Errorf("the output of the test is %q, %v, want what it printed", log, err)
		}
		for _, name := range []string{"polite", "deaf"} {
			log, err := os.ReadFile(filepath.Join(reports, "long/services", name+".log"))
			if err != nil || !strings.Contains(string(log), name+" begins\n") {
				t.Errorf("the log of %s is %q, %v, want what it printed", name, log, err)
			}
		}
	})
}

// TestTerminatedOutput has a test told to end that has printed something: what had arrived
// of it is kept, with secrets masked, and said not to be all.
func TestTerminatedOutput(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		reports, test := t.TempDir(), marker()
		c := start(t, append(w.env(), "PIN=hush-hush-4711"), "test", "--report-dir", reports, "--secret", "id=pin,env=PIN", testenv.Dir(t, "Dockerfile", plainDockerfile, "seatrial.yaml", `
tests:
  - name: long
    run: echo one; echo two >/dev/stderr; echo "$PIN, unfinished"; exec `+test+`
    mounts: [{type: secret, id: pin, env: PIN}]
`))
		c.until("unfinished")
		c.signal(syscall.SIGTERM)
		become(t, test, false)
		c.exits(143)
		log, err := os.ReadFile(filepath.Join(reports, "long/output.log"))
		if err != nil || !strings.Contains(string(log), "***, unfinished\n") || !strings.HasSuffix(string(log), stopped) {
			t.Errorf("the output is %q, %v, want it as far as it came", log, err)
		}
		for _, line := range []string{"one\n", "two\n"} { // of two streams
			if !strings.Contains(string(log), line) {
				t.Errorf("the output is %q, want %q in it", log, line)
			}
		}
	})
}
