package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/seatrial/seatrial/testsuite/helper/protocol"
)

// program is the path of the helper, as it is shipped.
var program string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "init")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "init")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v: %s\n", err, out)
		return 1
	}
	return m.Run()
}

// ran is what came out of running the helper.
type ran struct {
	exit           int
	stdout, stderr string
	log            string
	result         protocol.Result
}

func prepare(t testing.TB, mode string, options any, argv ...string) *exec.Cmd {
	t.Helper()
	args, err := protocol.Args(mode, options, argv...)
	if err != nil {
		t.Fatal(err)
	}
	return exec.Command(program, args[1:]...)
}

// runHelper runs a command under the helper to its end.
func runHelper(t testing.TB, opt protocol.Run, argv ...string) ran {
	t.Helper()
	if opt.Out == "" {
		opt.Out = t.TempDir()
	}
	return finish(t, prepare(t, protocol.ModeRun, opt, argv...), opt.Out)
}

func finish(t testing.TB, cmd *exec.Cmd, out string) ran {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &stdout
	}
	cmd.Stderr = &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	r := ran{exit: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}
	r.log = read(t, filepath.Join(out, protocol.LogFile))
	if err := json.Unmarshal([]byte(read(t, filepath.Join(out, protocol.ResultFile))), &r.result); err != nil {
		t.Fatal(err)
	}
	return r
}

func read(t testing.TB, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func write(t testing.TB, name, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	return path
}
