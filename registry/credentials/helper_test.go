//go:build unix

package credentials

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestHelperThatHangs has all end that a helper has started when it is waited for no longer.
func TestHelperThatHangs(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	fifo := filepath.Join(bin, "held")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(bin, helperPrefix+"forked"), "#!/bin/sh\n(echo begun; exec sleep 1000) >"+fifo+" &\nwait\n")
	h := newHelpers(time.Hour)
	h.apart = true // wherever this test runs
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := h.get(ctx, "forked", "registry.example.com")
		ended <- err
	}()
	held, err := os.Open(fifo) // when it is opened for writing
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if _, err := io.ReadFull(held, make([]byte, len("begun\n"))); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; err == nil {
		t.Fatal("a helper that hangs has answered")
	}
	if err := held.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if said, err := io.ReadAll(held); err != nil || len(said) > 0 {
		t.Errorf("what the helper has started said %q, %v, want its end", said, err)
	}
}
