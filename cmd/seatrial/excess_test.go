package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"testing"
	"time"

	"github.com/seatrial/seatrial/hack/testenv"
)

// mostMemory is what seatrial may take, however much comes back.
const mostMemory = 150 << 20

// watchMemory follows the most memory that the command has. The function that it returns
// checks it, once the command has ended. What the system tells then would not do: it
// counts in the process that the command was started from.
func (c *command) watchMemory() func() {
	c.t.Helper()
	most, watched := int64(0), make(chan struct{})
	go func() {
		defer close(watched)
		for tick := time.NewTicker(2 * time.Millisecond); ; <-tick.C {
			dt, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
			_, rest, running := strings.Cut(string(dt), "VmHWM:")
			if err != nil || !running {
				return
			}
			var kib int64
			if _, err := fmt.Sscan(rest, &kib); err == nil {
				most = max(most, kib<<10)
			}
		}
	}()
	return func() {
		c.t.Helper()
		if <-watched; most == 0 || most > mostMemory {
			c.t.Errorf("it took %d MiB of memory, want %d at most", most>>20, mostMemory>>20)
		}
	}
}

func sizeOf(t *testing.T, name string) int64 {
	t.Helper()
	st, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return st.Size()
}

// TestLargeReport has one of 2 GiB come back whole from a test that passed, and from one
// that failed: from the latter on the rootless daemon, where it is another way.
func TestLargeReport(t *testing.T) {
	const much = 2 << 30
	for kind, test := range map[testenv.Kind]struct {
		then string
		code int
	}{testenv.Root: {"true", 0}, testenv.Rootless: {"exit 3", 4}} {
		t.Run(kind.String(), func(t *testing.T) {
			w := newWorld(t, testenv.SharedDaemon(t, kind))
			reports := t.TempDir()
			c := start(t, w.env(), "test", "--report", "/big", "--report-dir", reports,
				"--test", fmt.Sprintf("truncate -s %d /big; %s", much, test.then), testenv.Dir(t, "Dockerfile", plainDockerfile))
			small := c.watchMemory()
			c.exits(test.code)
			files, err := filepath.Glob(reports + "/*/big")
			if err != nil || len(files) != 1 {
				t.Fatalf("reports = %q, %v, want one", files, err)
			}
			if got := sizeOf(t, files[0]); got != much {
				t.Errorf("the report has %d bytes, want %d", got, much)
			}
			small()
		})
	}
}

// TestLargeLine has a report of a single line, in which a secret is looked for.
func TestLargeLine(t *testing.T) {
	w := newWorld(t, testenv.SharedDaemon(t, testenv.Root))
	secret := testenv.Dir(t, "secret", "hunter22222") + "/secret"
	reports := t.TempDir()
	c := start(t, w.env(), "test", "--secret", "id=pw,src="+secret, "--report", "/big", "--report-dir", reports,
		"--test", "(dd if=/dev/zero bs=1M count=100; printf hunter22222) 2>/dev/null | tr '\\0' x >/big", testenv.Dir(t, "Dockerfile", plainDockerfile))
	small := c.watchMemory()
	c.exits(0)
	files, err := filepath.Glob(reports + "/*/big")
	if err != nil || len(files) != 1 {
		t.Fatalf("reports = %q, %v, want one", files, err)
	}
	if got, want := sizeOf(t, files[0]), int64(100<<20+len("***")); got != want {
		t.Errorf("the report has %d bytes, want %d", got, want)
	}
	small()
}

func TestManyReports(t *testing.T) {
	const count = 1000
	onEach(t, func(t *testing.T, w *world) {
		reports := t.TempDir()
		c := start(t, w.env(), "test", "--report", "out", "--report-dir", reports, "--test",
			"mkdir out; i=0; while test $i -lt 1000; do head -c 10240 /dev/zero >out/$i.txt; i=$((i+1)); done", testenv.Dir(t, "Dockerfile", plainDockerfile))
		c.exits(0)
		found := 0
		err := filepath.WalkDir(reports, func(name string, d fs.DirEntry, err error) error {
			if err == nil && filepath.Ext(name) == ".txt" && sizeOf(t, name) == 10240 {
				found++
			}
			return err
		})
		if err != nil || found != count {
			t.Errorf("%d reports of 10 KiB came back, %v, want %d", found, err, count)
		}
	})
}

func TestMuchOutput(t *testing.T) {
	const line = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n"
	const lines = 500 << 20 / len(line)
	onEach(t, func(t *testing.T, w *world) {
		reports := t.TempDir()
		c := start(t, w.env(), "test", "--report-dir", reports, "--test", fmt.Sprintf("yes %s | head -n %d; exit 3", strings.TrimSpace(line), lines), testenv.Dir(t, "Dockerfile", plainDockerfile))
		small := c.watchMemory()
		c.exits(4)
		logs, err := filepath.Glob(reports + "/*/output.log")
		if err != nil || len(logs) != 1 {
			t.Fatalf("logs = %q, %v, want one", logs, err)
		}
		if got, want := sizeOf(t, logs[0]), int64(lines*len(line)); got != want {
			t.Errorf("the log has %d bytes, want %d", got, want)
		}
		small()
	})
}

// TestBackgroundProcesses has a test leave something that runs. Without a process
// sandbox nothing but the helper would end it.
func TestBackgroundProcesses(t *testing.T) {
	daemons := map[string]func(t *testing.T) *testenv.Daemon{
		"root":     func(t *testing.T) *testenv.Daemon { return testenv.SharedDaemon(t, testenv.Root) },
		"rootless": func(t *testing.T) *testenv.Daemon { return testenv.SharedDaemon(t, testenv.Rootless) },
		"no process sandbox": func(t *testing.T) *testenv.Daemon {
			return testenv.StartDaemon(t, testenv.DaemonOptions{Kind: testenv.Rootless, Flags: []string{"--oci-worker-no-process-sandbox"}})
		},
	}
	for name, daemon := range daemons {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, daemon(t))
			for _, end := range []struct {
				command string
				args    []string
				code    int
			}{{"exit 0", nil, 0}, {"exit 3", nil, 4}, {"sleep 600", []string{"--test-timeout", "2s"}, 4}} {
				step := marker()
				// In a session of its own, and deaf to what ends the polite.
				test := fmt.Sprintf("(trap '' TERM HUP; exec %s) & echo begun; %s", step, end.command)
				args := append([]string{"test", "--report-dir", t.TempDir(), "--test", test}, end.args...)
				c := start(t, w.env(), append(args, testenv.Dir(t, "Dockerfile", plainDockerfile))...)
				c.exits(end.code)
				become(t, step, false)
			}
		})
	}
}

// TestFullDisk has a test fill the builder's disk: it fails, and says why.
func TestFullDisk(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) {
			dir := testenv.StateDir(t)
			mountSmall(t, dir)
			w := newWorld(t, testenv.StartDaemon(t, testenv.DaemonOptions{Kind: kind, Dir: filepath.Join(dir, "state")}))
			image := testenv.Dir(t, "Dockerfile", plainDockerfile)
			ref := w.registry.Host + "/acme/full"
			c := start(t, w.env(), "run", "-t", ref, "--report-dir", t.TempDir(), "--test", "echo filling; dd if=/dev/zero of=/full bs=1M", image)
			c.exits(4)
			c.says("No space left on device")
			c.says("failed: exit code 1: the builder's disk is full")
			c.says("the builder's disk is full: buildctl prune --all")
			if got := resolve(t.Fatalf, ref); got != "none" {
				t.Errorf("after a failed test the tag is %s, want none", got)
			}
		})
	}
}

// TestFullOfItself has a test fill what is no disk of the builder's, make room before it
// ends, and fill the disk of whoever runs seatrial.
func TestFullOfItself(t *testing.T) {
	w := newWorld(t, testenv.SharedDaemon(t, testenv.Rootless))
	image := testenv.Dir(t, "Dockerfile", plainDockerfile, "seatrial.yaml",
		`tests: [{name: fills, run: "dd if=/dev/zero of=/small/full", mounts: [{type: tmpfs, target: /small, size: 1m}]}]`)
	c := start(t, w.env(), "test", "--report-dir", t.TempDir(), image)
	c.exits(4)
	c.says("failed: exit code 1: /small is full")
	c.says("/small is full, a tmpfs: give its mount a larger size")
	if got := c.stderr(); strings.Contains(got, "the builder's disk") {
		t.Errorf("it blames a disk that is not full:\n%s", got)
	}

	c = start(t, w.env(), "test", "--report-dir", t.TempDir(), "--shm-size", "64k", "--test", "dd if=/dev/zero of=/dev/shm/full", image)
	c.exits(4)
	c.says("/dev/shm is full: --shm-size SIZE makes it larger")

	c = start(t, w.env(), "test", "--report-dir", t.TempDir(), "--test", "echo No space left on device; exit 3", image)
	c.exits(4)
	c.says("most likely on the builder's disk")

	dir := testenv.StateDir(t)
	mountSmall(t, dir)
	c = start(t, w.env(), "test", "--report-dir", dir, "--report", "/big", "--test", "dd if=/dev/zero of=/big bs=1 count=0 seek=300M", image)
	c.exits(3)
	c.says("the disk of this machine is full")
}

// mountSmall mounts a small disk for everybody until the test is over.
func mountSmall(t *testing.T, dir string) {
	t.Helper()
	root := func(args ...string) error {
		if os.Geteuid() != 0 {
			args = append([]string{"sudo", "-n"}, args...)
		}
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
		}
		return nil
	}
	if err := root("mount", "-t", "tmpfs", "-o", "size=256m,mode=1777", "tmpfs", dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := root("umount", dir); err != nil {
			t.Error(err)
		}
	})
}
