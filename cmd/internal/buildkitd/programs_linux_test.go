package buildkitd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seatrial/seatrial/hack/testenv"
)

func TestMissingPrograms(t *testing.T) {
	accounts(t, func(t *testing.T, a *account) {
		programs := map[string]string{"buildkitd": "make tools", "runc": "apt-get install runc"}
		if a.uid != 0 {
			programs["rootlesskit"] = "make tools"
			programs["newuidmap"] = "apt-get install uidmap"
			programs["newgidmap"] = "apt-get install uidmap"
		}
		for missing, hint := range programs {
			got := a.start(t, "PATH="+linkPrograms(t, a, missing), "HELPER_NO_SBIN=1").next(t)
			if !got.Typed || !strings.Contains(got.Err, missing) || !strings.Contains(got.Hint, hint) {
				t.Errorf("Connect() without %s = %q, hint %q; want hint %q", missing, got.Err, got.Hint, hint)
			}
		}
	})
}

func TestCrunServesWhenThereIsNoRunc(t *testing.T) {
	accounts(t, func(t *testing.T, a *account) {
		// Debian 12's crun is too old to serve; runc under its name is not.
		path := linkPrograms(t, a, "runc")
		writeScript(t, filepath.Join(path, "crun"), `exec /usr/sbin/runc "$@"`)
		r := a.connect(t, "PATH="+path+":/bin", "HELPER_NO_SBIN=1")
		if got := r.do(t, "run echo by crun"); got.Output != "by crun\n" {
			t.Errorf("step = %q, %s", got.Output, got.Err)
		}
		r.close(t)
	})
}

func TestOldCrunIsRefused(t *testing.T) {
	accounts(t, func(t *testing.T, a *account) {
		path := linkPrograms(t, a, "runc")
		writeScript(t, filepath.Join(path, "crun"), "echo Usage: crun run")
		got := a.start(t, "PATH="+path, "HELPER_NO_SBIN=1").next(t)
		if !got.Typed || !strings.Contains(got.Err, "too old") || !strings.Contains(got.Hint, "runc") {
			t.Errorf("Connect() with an old crun = %q, hint %q", got.Err, got.Hint)
		}
	})
}

func writeScript(t *testing.T, path, script string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// linkPrograms makes a directory for PATH with everything but one program.
func linkPrograms(t *testing.T, a *account, missing string) string {
	t.Helper()
	dir := a.path("home", "without-"+missing)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"buildkitd":   testenv.Reachable(t, testenv.Binary(t, "buildkitd")),
		"rootlesskit": testenv.Reachable(t, testenv.Binary(t, "rootlesskit")),
		"runc":        "/usr/sbin/runc", "newuidmap": "/usr/bin/newuidmap", "newgidmap": "/usr/bin/newgidmap",
		"getsubids": "/usr/bin/getsubids", "mount": "/bin/mount", "umount": "/bin/umount",
	} {
		if name != missing {
			if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}
