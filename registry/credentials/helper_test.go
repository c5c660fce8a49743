//go:build unix

package credentials

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestHelperThatHangs has all end that a helper has started when it has not answered.
func TestHelperThatHangs(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	fifo := filepath.Join(bin, "held")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	held, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0) // which waits for nobody
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	write(t, filepath.Join(bin, helperPrefix+"forked"), "#!/bin/sh\n(echo begun; exec sleep 1000) >"+fifo+" &\nwait\n")
	h := newHelpers(time.Second)
	h.apart = true // wherever this test runs
	if _, err := h.get(t.Context(), "forked", "registry.example.com"); err == nil {
		t.Fatal("a helper that hangs has answered")
	}
	if err := held.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if said, err := io.ReadAll(held); err != nil || string(said) != "begun\n" {
		t.Errorf("what the helper has started said %q, %v, want its end", said, err)
	}
}
