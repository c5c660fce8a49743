package main

import (
	"bytes"
	"os"
	"testing"
	"time"
)

// TestOutputThatCouldNotBeRead has a time limit over before anything was read of what is in
// the pipe, as on a busy machine: it is not lost, and no more is waited for.
func TestOutputThatCouldNotBeRead(t *testing.T) {
	o := &output{}
	s, err := o.newStream(os.Stdout, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.closeWriter()
	_ = s.read.SetReadDeadline(time.Now())
	<-s.copied
	want := bytes.Repeat([]byte("the last words\n"), 4000)
	if _, err := s.write.Write(want); err != nil {
		t.Fatal(err)
	}
	if got := s.rest(); !bytes.Equal(got, want) {
		t.Errorf("%d bytes are read, want %d", len(got), len(want))
	}
	if got := s.rest(); len(got) > 0 {
		t.Errorf("then %q is read, want nothing", got)
	}
}
