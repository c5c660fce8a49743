package buildkitd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seatrial/seatrial/hack/testenv"
)

func TestPrivateDaemonIsSharedAndLeavesWithItsLastUser(t *testing.T) {
	accounts(t, func(t *testing.T, a *account) {
		runs := []*run{a.start(t), a.start(t), a.start(t)}
		for _, r := range runs {
			r.reply = r.next(t)
			if r.Err != "" {
				t.Fatalf("Connect() = %s", r.Err)
			}
		}
		pid := runs[0].Builder.PID
		for _, r := range runs {
			if r.Builder.PID != pid || !r.Builder.Private {
				t.Errorf("Connect() = process %d, private %t; want %d, true", r.Builder.PID, r.Builder.Private, pid)
			}
		}
		if sid, err := unix.Getsid(pid); err != nil || sid != pid {
			t.Errorf("the daemon's session is %d (%v), want its own, %d", sid, err, pid)
		}
		checkPrivacy(t, a, runs[0].Builder.Addr)
		runs[0].close(t)
		runs[1].close(t)
		if got := runs[2].do(t, "run echo still here"); got.Output != "still here\n" {
			t.Errorf("a step after the others left = %q, %s", got.Output, got.Err)
		}
		runs[2].close(t)
		if running(pid) {
			t.Errorf("the daemon %d runs after its last user left", pid)
		}
	})
}

// Whoever comes while the last one leaves must get a daemon that stays.
func TestComingAndGoing(t *testing.T) {
	accounts(t, func(t *testing.T, a *account) {
		const users, times = 3, 4
		errs := make(chan string, users*times)
		var group sync.WaitGroup
		for range users {
			group.Go(func() {
				for range times {
					r := a.start(t)
					got := r.next(t)
					if got.Err == "" {
						got = r.do(t, "run echo here")
					}
					errs <- got.Err
					r.do(t, "close")
				}
			})
		}
		group.Wait()
		close(errs)
		for err := range errs {
			if err != "" {
				t.Errorf("one of %d users: %s", users, err)
			}
		}
	})
}

func checkPrivacy(t *testing.T, a *account, addr string) {
	t.Helper()
	for path, want := range map[string]os.FileMode{
		unixPath(addr):                             0o600,
		filepath.Dir(unixPath(addr)):               0o700,
		filepath.Dir(filepath.Dir(unixPath(addr))): 0o700,
		a.state(): 0o700,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("mode of %s = %v, want %v", path, got, want)
		}
		if got := ownerOf(path); got != a.uid {
			t.Errorf("owner of %s = %d, want %d", path, got, a.uid)
		}
	}
}

func TestNextRunIsWarm(t *testing.T) {
	accounts(t, func(t *testing.T, a *account) {
		// The output depends on the moment: the same twice is from the cache.
		const step = "run cat /proc/uptime; echo $$"
		first := a.connect(t)
		if got := first.do(t, step); got.Err != "" || got.Output == "" {
			t.Fatalf("step = %q, %s", got.Output, got.Err)
		}
		first.close(t)
		second := a.connect(t)
		if first.Builder.PID == second.Builder.PID {
			t.Errorf("the second run has the first one's daemon %d", first.Builder.PID)
		}
		if first.Worker != second.Worker {
			t.Errorf("worker = %s, then %s: the state was not kept", first.Worker, second.Worker)
		}
		if got := second.do(t, step); got.Err != "" || got.Output != "" {
			t.Errorf("the cached step ran: %q, %s", got.Output, got.Err)
		}
		second.close(t)
	})
}

func TestStateDirectoriesDoNotShareADaemon(t *testing.T) {
	accounts(t, func(t *testing.T, a *account) {
		one := a.connect(t)
		other := a.connect(t, "XDG_CACHE_HOME="+a.path("home"))
		if one.Builder.PID == other.Builder.PID || one.Builder.Addr == other.Builder.Addr {
			t.Errorf("two state directories share process %d at %s", one.Builder.PID, one.Builder.Addr)
		}
		other.close(t)
		one.close(t)
	})
}

func TestRuntimeDirectoriesShareADaemon(t *testing.T) {
	accounts(t, func(t *testing.T, a *account) {
		one := a.connect(t)
		other := a.connect(t, "XDG_RUNTIME_DIR=")
		if one.Builder.PID != other.Builder.PID {
			t.Errorf("a run without XDG_RUNTIME_DIR has process %d, want %d", other.Builder.PID, one.Builder.PID)
		}
		one.close(t)
		other.close(t)
	})
}

func TestBrokenConfigurationShowsTheLog(t *testing.T) {
	accounts(t, func(t *testing.T, a *account) {
		env := "BUILDKITD_CONFIG=" + a.path("home", "broken.toml")
		path := a.path("home", "broken.toml")
		if a.uid != 0 { // where buildkitd looks by itself
			path, env = a.path("home", ".config", "buildkit", "buildkitd.toml"), "UNUSED=1"
		}
		if err := os.WriteFile(path, []byte("this is not toml\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		got := a.start(t, env).next(t)
		if !got.Typed || !strings.Contains(got.Err, "starting buildkitd: it exited") {
			t.Errorf("Connect() = %q, want that buildkitd exited", got.Err)
		}
		if !strings.Contains(got.Log, "toml") || !strings.Contains(got.Err, got.Log[:20]) {
			t.Errorf("Log = %q, want what buildkitd says about its configuration; error %q", got.Log, got.Err)
		}
	})
}

func TestUsersConfigurationIsRead(t *testing.T) {
	a := newAccount(t, testenv.Rootless)
	config := `[worker.oci]
  [worker.oci.labels]
    "org.example.mine" = "yes"
`
	if err := os.WriteFile(a.path("home", ".config", "buildkit", "buildkitd.toml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	r := a.connect(t)
	log, err := os.ReadFile(r.Builder.LogFile)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(log), "org.example.mine:yes") {
		t.Errorf("the worker has not the configured label; log:\n%s", log)
	}
	r.close(t)
}

func TestStateDirectoryInUseElsewhere(t *testing.T) {
	accounts(t, func(t *testing.T, a *account) {
		kind := testenv.Rootless
		if a.uid == 0 {
			kind = testenv.Root
		}
		a.connect(t).close(t) // makes the directories
		d := testenv.StartDaemon(t, testenv.DaemonOptions{Kind: kind, Dir: a.state()})
		got := a.start(t).next(t)
		if want := "is in use by another buildkitd"; !got.Typed || !strings.Contains(got.Err, want) || got.Hint == "" {
			t.Errorf("Connect() = %q, hint %q; want %q and a hint", got.Err, got.Hint, want)
		}
		if !running(d.PID) {
			t.Error("the other daemon was killed")
		}
		if err := d.Stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestCanceledStartLeavesNothing(t *testing.T) {
	accounts(t, func(t *testing.T, a *account) {
		// A daemon that never answers: only a fake one can be relied on for that.
		bin := a.path("home", "bin")
		if err := os.MkdirAll(bin, 0o755); err != nil {
			t.Fatal(err)
		}
		writeScript(t, filepath.Join(bin, "buildkitd"), "echo waiting\nexec sleep 1000")
		path := strings.TrimPrefix(a.env[2], "PATH=")
		r := a.start(t, "PATH="+bin+":"+path)
		eventually(t, "the daemon has started", func() bool {
			log, _ := os.ReadFile(filepath.Join(a.state(), "buildkitd.log"))
			return strings.Contains(string(log), "waiting")
		})
		if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if got := r.next(t); !got.Canceled || got.Typed {
			t.Errorf("Connect() = %q, want that it was canceled", got.Err)
		}
		a.checkNothingLeft(t)
	})
}

func TestDaemonDoesNotGetOurSecrets(t *testing.T) {
	accounts(t, func(t *testing.T, a *account) {
		r := a.connect(t, "CI_JOB_TOKEN=geheim", "HTTPS_PROXY=http://proxy.invalid:3128")
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", r.Builder.PID))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(raw), "geheim") {
			t.Error("the daemon's environment has the job's token")
		}
		if !strings.Contains(string(raw), "HTTPS_PROXY=http://proxy.invalid:3128") {
			t.Error("the daemon's environment lacks the proxy")
		}
		r.close(t)
	})
}

func TestLongRuntimeDirectoryIsLeftAside(t *testing.T) {
	a := newAccount(t, testenv.Rootless)
	long := a.path("home", strings.Repeat("x", 100))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	if a.cred != nil {
		if err := os.Chown(long, int(a.cred.Uid), int(a.cred.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	r := a.connect(t, "XDG_RUNTIME_DIR="+long)
	if got, want := unixPath(r.Builder.Addr), a.path("tmp")+"/"; !strings.HasPrefix(got, want) {
		t.Errorf("socket = %s, want it below %s", got, want)
	}
	r.close(t)
}
