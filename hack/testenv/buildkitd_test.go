package testenv

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/llb"
	"github.com/tonistiigi/fsutil"
)

func TestMain(m *testing.M) { Main(m) }

func kinds() []Kind { return []Kind{Root, Rootless} }

// solve runs a shell command in a container that holds only busybox, and
// reports each line of output.
func solve(ctx context.Context, t *testing.T, addr, command string, line func(string)) error {
	t.Helper()
	dir := t.TempDir()
	if err := copyExecutable(busyboxPath, filepath.Join(dir, "busybox")); err != nil {
		t.Fatal(err)
	}
	files, err := fsutil.NewFS(dir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(ctx, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	def, err := llb.Local("busybox").Run(llb.Args([]string{"/busybox", "sh", "-c", command}), llb.IgnoreCache).Root().Marshal(ctx)
	if err != nil {
		t.Fatal(err)
	}
	status := make(chan *client.SolveStatus)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for s := range status {
			for _, l := range s.Logs {
				line(string(l.Data))
			}
		}
	}()
	_, err = c.Solve(ctx, def, client.SolveOpt{LocalMounts: map[string]fsutil.FS{"busybox": files}}, status)
	<-done
	return err
}

func TestDaemonRunsABuildStep(t *testing.T) {
	for _, kind := range kinds() {
		t.Run(kind.String(), func(t *testing.T) {
			d := SharedDaemon(t, kind)
			if again := SharedDaemon(t, kind); again != d {
				t.Errorf("SharedDaemon(%s) = %s, then %s", kind, d.Addr, again.Addr)
			}
			var out strings.Builder
			if err := solve(t.Context(), t, d.Addr, "echo hello from $$", func(s string) { out.WriteString(s) }); err != nil {
				t.Fatal(err)
			}
			if got := out.String(); !strings.HasPrefix(got, "hello from") {
				t.Errorf("output = %q, want hello from …", got)
			}
		})
	}
}

func TestKillLeavesNoStepBehind(t *testing.T) {
	for _, kind := range kinds() {
		t.Run(kind.String(), func(t *testing.T) {
			d := StartDaemon(t, DaemonOptions{Kind: kind})
			err := solve(t.Context(), t, d.Addr, "echo started; /busybox sleep 1000", func(string) { d.Kill() })
			if err == nil {
				t.Error("the build succeeded on a daemon that was killed")
			}
			if err := d.Stop(); err != nil {
				t.Errorf("Stop() = %v", err)
			}
			if _, err := os.Stat(d.tmp); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("after Stop, %s is there (%v)", d.tmp, err)
			}
			if pids := processes(func(pid int) bool { return session(pid) == d.PID || rootedIn(pid, d.Dir) }); len(pids) > 0 {
				t.Errorf("after Stop, processes %v are there", pids)
			}
			if mounts := mountsBelow(d.tmp); len(mounts) > 0 {
				t.Errorf("after Stop, mounts %v are there", mounts)
			}
		})
	}
}

func TestDaemonContinuesInAGivenDirectory(t *testing.T) {
	for _, kind := range kinds() {
		t.Run(kind.String(), func(t *testing.T) {
			dir := StateDir(t)
			var ids []string
			for range 2 {
				d := StartDaemon(t, DaemonOptions{Kind: kind, Dir: dir})
				c, err := client.New(t.Context(), d.Addr)
				if err != nil {
					t.Fatal(err)
				}
				workers, err := c.ListWorkers(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, workers[0].ID)
				c.Close()
				if err := d.Stop(); err != nil {
					t.Fatal(err)
				}
			}
			if ids[0] != ids[1] {
				t.Errorf("worker ids = %v, want the same twice", ids)
			}
		})
	}
}

func TestConfiguration(t *testing.T) {
	opt := DaemonOptions{
		ExtraConfig: "debug = true",
		Mirrors:     map[string]string{"docker.io": "127.0.0.1:5000", "127.0.0.1:5001": "127.0.0.1:5001"},
	}
	want := "debug = true\n" +
		"[registry.\"docker.io\"]\n  mirrors = [\"127.0.0.1:5000\"]\n" +
		"[registry.\"127.0.0.1:5000\"]\n  http = true\n" +
		"[registry.\"127.0.0.1:5001\"]\n  http = true\n"
	if got := opt.toml(); got != want {
		t.Errorf("toml() = %q, want %q", got, want)
	}
	StartDaemon(t, opt) // buildkitd itself is the judge of it
}
