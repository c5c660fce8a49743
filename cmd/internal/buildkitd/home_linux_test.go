package buildkitd

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestDirectoryOfSomebodyElseIsRefused(t *testing.T) {
	foreign := "/" // root's, for anybody else
	if os.Geteuid() == 0 {
		foreign = filepath.Join(t.TempDir(), "foreign")
		if err := os.Mkdir(foreign, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(foreign, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{foreign: "belongs to user", link: "not a directory"} {
		if err := makeOwn(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("makeOwn(%s) = %v, want %q", dir, err, want)
		}
	}
}

func TestSubordinateIDs(t *testing.T) {
	name := userName(Options{}.withDefaults())
	for _, test := range []struct {
		about, subuid, nsswitch string
		ok                      bool
	}{
		{"by name", name + ":100000:65536\n", "", true},
		{"by number", "other:1:2\n" + strconv.Itoa(os.Geteuid()) + ":100000:65536\n", "", true},
		{"nobody's", "", "", false},
		{"somebody else's", name + "x:100000:65536\n", "", false},
		{"from another source", "", "subid: sss\n", true},
	} {
		etc := t.TempDir()
		for file, content := range map[string]string{"subuid": test.subuid, "subgid": test.subuid, "nsswitch.conf": test.nsswitch} {
			if err := os.WriteFile(filepath.Join(etc, file), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		err := checkSubIDs(Options{}.withDefaults(), etc)
		if (err == nil) != test.ok {
			t.Errorf("checkSubIDs with ranges %s = %v, want ok %t", test.about, err, test.ok)
		}
		var e *Error
		if errors.As(err, &e) && !strings.Contains(e.Hint, "usermod --add-subuids") {
			t.Errorf("hint = %q", e.Hint)
		}
	}
}

func TestProcessIsToldFromItsSuccessor(t *testing.T) {
	p, err := identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if !p.alive() {
		t.Error("this process is not alive")
	}
	for _, other := range []process{{}, {PID: p.PID, Start: p.Start + "1", Boot: p.Boot}, {PID: p.PID, Start: p.Start, Boot: "another"}} {
		if other.alive() {
			t.Errorf("%+v is alive, and so is %+v", other, p)
		}
		if err := other.signal(os.Kill); err == nil {
			t.Fatalf("%+v was signalled", other)
		}
	}
}

func TestRecordOfAnotherPlaceIsIgnored(t *testing.T) {
	h := home{state: t.TempDir(), runtime: "/run/seatrial/abc"}
	for _, content := range []string{"", "{", `{"pid": 1}`, `{"pid": 1, "runtime": "/home/me"}`} {
		if err := os.WriteFile(h.record(), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := h.readRecord(); got != (record{}) {
			t.Errorf("readRecord() of %q = %+v, want none", content, got)
		}
	}
	want := record{process: process{PID: 1, Start: "2", Boot: "3"}, Runtime: "/tmp/seatrial-0/abc"}
	if err := h.writeRecord(want); err != nil {
		t.Fatal(err)
	}
	if got := h.readRecord(); got != want {
		t.Errorf("readRecord() = %+v, want %+v", got, want)
	}
}

// A directory of a process in a container is another one than ours of the same name.
func TestWayToADirectory(t *testing.T) {
	root, dir := t.TempDir(), t.TempDir()
	in := filepath.Join(root, dir)
	if got := reachable(dir, root); got != in {
		t.Errorf("where only one is there: reachable = %s, want %s", got, in)
	}
	if err := os.MkdirAll(in, 0o700); err != nil {
		t.Fatal(err)
	}
	if got := reachable(dir, root); got != in {
		t.Errorf("in another root: reachable = %s, want %s", got, in)
	}
	if got := reachable(dir, "/proc/self/root"); got != dir {
		t.Errorf("in our own root: reachable = %s, want %s", got, dir)
	}
}
