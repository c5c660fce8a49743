package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestSweepVolumes has directories go whose run was killed, and no others.
func TestSweepVolumes(t *testing.T) {
	root := t.TempDir()
	held, err := openShelter(root)
	if err != nil {
		t.Fatal(err)
	}
	killed, err := openShelter(root)
	if err != nil {
		t.Fatal(err)
	}
	killed.lock.Close()
	fresh, err := openShelter(root)
	if err != nil {
		t.Fatal(err)
	}
	fresh.lock.Close()
	for _, s := range []*shelter{held, killed} {
		if err := os.Chtimes(s.dir, time.Time{}, time.Now().Add(-2*young)); err != nil {
			t.Fatal(err)
		}
	}
	sweepVolumes(root)
	for s, want := range map[*shelter]bool{held: true, killed: false, fresh: true} {
		if _, err := os.Stat(s.dir); (err == nil) != want {
			t.Errorf("directory is there: %v, want %v", err == nil, want)
		}
	}
}

// TestCopyTree keeps modes, links and times.
func TestCopyTree(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	past := time.Unix(1000, 0)
	for _, err := range []error{
		os.Mkdir(filepath.Join(from, "sub"), 0o755),
		os.WriteFile(filepath.Join(from, "sub/run"), []byte("x"), 0o600),
		os.Chmod(filepath.Join(from, "sub/run"), 0o750|os.ModeSetgid),
		os.Symlink("../gone", filepath.Join(from, "sub/link")),
		unix.Mkfifo(filepath.Join(from, "fifo"), 0o600),
		os.Chtimes(filepath.Join(from, "sub/run"), past, past),
		os.Chmod(filepath.Join(from, "sub"), 0o500),
		copyTree(from, to),
		os.Chmod(filepath.Join(from, "sub"), 0o700),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	defer os.Chmod(filepath.Join(to, "sub"), 0o700) //nolint:errcheck // it is for the clean-up
	info, err := os.Stat(filepath.Join(to, "sub/run"))
	if err != nil || info.Mode() != 0o750|os.ModeSetgid || !info.ModTime().Equal(past) {
		t.Errorf("the file is %v, %v", info, err)
	}
	if dir, err := os.Stat(filepath.Join(to, "sub")); err != nil || dir.Mode().Perm() != 0o500 {
		t.Errorf("the directory is %v, %v", dir, err)
	}
	if link, err := os.Readlink(filepath.Join(to, "sub/link")); link != "../gone" {
		t.Errorf("the link is %q, %v", link, err)
	}
	if _, err := os.Lstat(filepath.Join(to, "fifo")); err == nil {
		t.Error("a FIFO was copied")
	}
}
