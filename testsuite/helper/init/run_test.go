package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/seatrial/seatrial/testsuite/helper/protocol"
	"golang.org/x/sys/unix"
)

func TestExitCodes(t *testing.T) {
	for _, tt := range []struct {
		name string
		argv []string
		want int
		says string
	}{
		{"success", []string{"true"}, 0, ""},
		{"failure", []string{"sh", "-c", "exit 3"}, 3, ""},
		{"signal", []string{"sh", "-c", "kill -9 $$"}, 137, ""},
		{"not in PATH", []string{"no-such-command"}, 127, `no command "no-such-command" in PATH (`},
		{"not in the image", []string{"/no/such"}, 127, `no command "/no/such" in the image; the image has a shell`},
		{"not executable", []string{write(t, "file", "", 0o644)}, 126, "is not executable (mode 0644)"},
		{"a directory", []string{"/"}, 126, "/ is a directory"},
		{"no interpreter", []string{write(t, "script", "#!/no/python -u\n", 0o755)}, 126, "its interpreter is not: /no/python -u"},
		{"another platform", []string{write(t, "program", "\x7fELF", 0o755)}, 126, "built for another platform"},
		{"nothing", nil, 127, "there is no command to run"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := runHelper(t, protocol.Run{}, tt.argv...)
			if got.exit != tt.want || got.result.Exit != tt.want {
				t.Errorf("exit code %d, in the result %d, want %d", got.exit, got.result.Exit, tt.want)
			}
			if !strings.Contains(got.log, tt.says) || got.stdout != got.log {
				t.Errorf("log %q, stdout %q, want %q in both", got.log, got.stdout, tt.says)
			}
			if !strings.Contains(got.result.Error, tt.says) || got.result.Ended == "" {
				t.Errorf("result %+v, want an error with %q, and an end", got.result, tt.says)
			}
		})
	}
}

func TestOutputInOrder(t *testing.T) {
	got := runHelper(t, protocol.Run{}, "sh", "-c", "for i in $(seq 500); do echo $i; echo $i >&2; done")
	var want strings.Builder
	for i := range 500 {
		line := strconv.Itoa(i+1) + "\n"
		want.WriteString(line + line)
	}
	if got.log != want.String() || got.stdout != got.log {
		t.Errorf("log and stdout are not what was printed, in the order in which it was:\n%s", got.log)
	}
}

func TestOutputSplit(t *testing.T) {
	out := t.TempDir()
	got := runHelper(t, protocol.Run{Out: out, Split: true}, "sh", "-c", "echo good; echo bad >&2")
	if got.stdout != "good\n" || got.stderr != "bad\n" || len(got.log) != len("good\nbad\n") {
		t.Errorf("stdout %q, stderr %q, log %q", got.stdout, got.stderr, got.log)
	}
	if o, e := read(t, filepath.Join(out, protocol.StdoutFile)), read(t, filepath.Join(out, protocol.StderrFile)); o != "good\n" || e != "bad\n" {
		t.Errorf("files hold %q and %q", o, e)
	}
}

// namespaces are how a container may start the helper: as the first process of
// its own PID namespace, or in that of the daemon.
func namespaces() map[string]*syscall.SysProcAttr {
	return map[string]*syscall.SysProcAttr{
		"subreaper": nil,
		"first process": {
			Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWPID,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		},
	}
}

// leaveBehind starts a process that ignores SIGTERM and has its own session, and
// tells its PID in this namespace: it holds a lock on a file.
const leaveBehind = `trap "" TERM; setsid flock "$1" sh -c 'echo held >"$1".held; while :; do sleep 1000; done' "$0" "$1" & 
while ! [ -e "$1".held ]; do sleep 0.01; done; echo begun; `

// free tells whether nobody holds the lock any more.
func free(t *testing.T, path string) bool {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err != nil && !errors.Is(err, unix.EWOULDBLOCK) {
		t.Fatal(err)
	}
	return err == nil
}

func TestNothingIsLeft(t *testing.T) {
	for name, attr := range namespaces() {
		t.Run(name, func(t *testing.T) {
			out, lock := t.TempDir(), write(t, "lock", "", 0o644)
			cmd := prepare(t, protocol.ModeRun, protocol.Run{Out: out}, "sh", "-c", leaveBehind+"exit 3", "sh", lock)
			cmd.SysProcAttr = attr
			if got := finish(t, cmd, out); got.exit != 3 || got.log != "begun\n" {
				t.Errorf("exit code %d, log %q", got.exit, got.log)
			}
			if !free(t, lock) {
				t.Error("a background process is still there")
			}
		})
	}
}

func TestTimeLimit(t *testing.T) {
	for name, attr := range namespaces() {
		t.Run(name, func(t *testing.T) {
			out, lock := t.TempDir(), write(t, "lock", "", 0o644)
			control := write(t, "control", `{"timeout_ms": 1500, "grace_ms": 100, "env": {"HINT": "7"}}`, 0o644)
			cmd := prepare(t, protocol.ModeRun, protocol.Run{Out: out, Control: control},
				"sh", "-c", leaveBehind+`echo hint $HINT; while :; do sleep 1000; done`, "sh", lock)
			cmd.SysProcAttr = attr
			got := finish(t, cmd, out)
			if got.exit != protocol.ExitTimeout || !got.result.TimedOut {
				t.Errorf("exit code %d, result %+v, want a time limit", got.exit, got.result)
			}
			if want := "begun\nhint 7\nseatrial: the time limit of 1.5s is over: ending the command\n"; got.log != want || got.stdout != want {
				t.Errorf("log %q, stdout %q, want %q", got.log, got.stdout, want)
			}
			if !free(t, lock) {
				t.Error("a background process is still there")
			}
		})
	}
}

// A reader that has stopped must keep neither the time limit from working nor the
// log from being written.
func TestBlockedReader(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	out := t.TempDir()
	cmd := prepare(t, protocol.ModeRun, protocol.Run{Out: out, Control: write(t, "control", `{"timeout_ms": 3000}`, 0o644)},
		"sh", "-c", "yes | head -c 200000; yes n | head -c 2000000000")
	cmd.Stdout = w
	got := finish(t, cmd, out)
	// Two pipes hold 64 KiB each, of which one was read, and the other is when all is over.
	// How much is under way between them is left to chance.
	if got.exit != protocol.ExitTimeout || len(got.log) < 100_000 {
		t.Errorf("exit code %d with a log of %d bytes", got.exit, len(got.log))
	}
}

func TestSignalsAreForwarded(t *testing.T) {
	out := t.TempDir()
	cmd := prepare(t, protocol.ModeRun, protocol.Run{Out: out},
		"sh", "-c", `trap "echo told; exit 5" TERM; kill -TERM $PPID; while :; do sleep 0.01; done`)
	if got := finish(t, cmd, out); got.exit != 5 || got.log != "told\n" {
		t.Errorf("exit code %d, log %q", got.exit, got.log)
	}
}

// A test that fills the disk is run to its end, and its result is kept.
func TestFullDisk(t *testing.T) {
	if _, err := exec.LookPath("unshare"); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	args, err := protocol.Args(protocol.ModeRun, protocol.Run{Out: dir}, "sh", "-c", "yes | head -c 500000 >&2; echo end; exit 4")
	if err != nil {
		t.Fatal(err)
	}
	args[0] = program
	script := `mount -t tmpfs -o size=128k tmpfs "$0" && { "$@" >/dev/null; echo $?; cat "$0"/result.json; }`
	cmd := exec.CommandContext(t.Context(), "unshare", append([]string{"-Urm", "sh", "-c", script, dir}, args...)...)
	raw, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	if got := string(raw); !strings.HasPrefix(got, "4\n") || !strings.Contains(got, `"exit":4,`) ||
		!strings.Contains(got, `"log_truncated":"write `+dir+`/output.log: no space left on device","full":[`) ||
		!strings.Contains(got, `{"path":"`+dir+`","memory":true}`) { // maybe among others of this machine
		t.Errorf("exit code and result: %s", got)
	}
}
