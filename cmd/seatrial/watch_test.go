package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/seatrial/seatrial/hack/testenv"
)

// put writes a file as editors do: another one in its place.
func put(t *testing.T, dir, name, content string) {
	t.Helper()
	fresh := filepath.Join(dir, name+"~")
	if err := os.WriteFile(fresh, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(fresh, filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

func TestWatch(t *testing.T) {
	const dockerfile = "FROM busybox\nCOPY hull /hull\n"
	const command = `case $(cat /hull) in wood) echo afloat;; slow) echo under way; sleep 1000;; *) exit 6;; esac`
	onEach(t, func(t *testing.T, w *world) {
		dir := testenv.Dir(t, "Dockerfile", dockerfile, ".dockerignore", "*.md\n", "hull", "wood")
		// What is written into the context is no change of it.
		s := sit(t, w.env(), "test", "--watch", "--test", command, "--report-dir", dir+"/reports", "--result-file", dir+"/r.json", dir)
		s.until(`passed in `)
		s.until(`──── waiting for changes; Ctrl-C ends ────`)

		// The image is the same: nothing runs.
		put(t, dir, "notes.md", "nobody looks at it")
		put(t, dir, "unused", "x")
		s.until(`──── changed: [^ ]*/unused ────`)
		s.until(`passed \(cached`)
		s.until(`waiting for changes`)

		// Neither a test that fails nor a Dockerfile that is broken ends it.
		put(t, dir, "hull", "steel")
		s.until(`──── changed: [^ ]*/hull ────`)
		s.until(`failed: exit code 6`)
		s.until(`waiting for changes`)
		put(t, dir, "Dockerfile", "FROM busybox\nBREAK\n")
		s.until(`changed: [^ ]*/Dockerfile`)
		s.until(`unknown instruction: BREAK`)
		s.until(`waiting for changes`)

		// What runs is ended by a change.
		put(t, dir, "Dockerfile", dockerfile)
		s.until(`failed: exit code 6`)
		s.until(`waiting for changes`)
		put(t, dir, "hull", "slow")
		s.until(`\d under way\r\n`)
		put(t, dir, "hull", "wood")
		s.until(`──── changed while it ran: [^ ]*/hull ────`)
		s.until(`passed`)
		s.until(`waiting for changes`)

		// New directories are watched, and those that are not ignored any more.
		if err := os.MkdirAll(filepath.Join(dir, "deck"), 0o755); err != nil {
			t.Fatal(err)
		}
		s.until(`changed: [^ ]*/deck`)
		s.until(`waiting for changes`)
		put(t, dir, "deck/plank", "x")
		s.until(`changed: [^ ]*/deck/plank`)
		s.until(`waiting for changes`)
		put(t, dir, ".dockerignore", "deck\n")
		s.until(`changed: [^ ]*/.dockerignore`)
		s.until(`waiting for changes`)
		put(t, dir, "deck/plank", "y")
		put(t, dir, "notes.md", "somebody does now")
		s.until(`changed: [^ ]*/notes.md ────`)
		s.until(`waiting for changes`)

		s.types("\x03")
		s.exits(130)
	})
}

// TestWatchIsInterrupted ends it while a test runs.
func TestWatchIsInterrupted(t *testing.T) {
	w := newWorld(t, testenv.SharedDaemon(t, testenv.Root))
	s := sit(t, w.env(), "test", "--watch", "--report-dir", t.TempDir(), "--test", "echo under way; sleep 1000", testenv.Dir(t, "Dockerfile", plainDockerfile))
	s.until(`\d under way\r\n`)
	s.types("\x03")
	s.until(`sleep 1000  interrupted`)
	s.exits(130)
}
