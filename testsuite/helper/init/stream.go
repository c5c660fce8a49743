package main

import (
	"bytes"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// stream is a pipe that the command writes to, what copies it, and what passes it
// on.
type stream struct {
	read   *os.File
	write  *os.File // nil once the command has it
	file   *os.File // nil: none beside the log
	copied chan struct{}

	queue   chan []byte
	passed  chan struct{} // closed when the queue is written
	abandon chan struct{} // closed when nobody waits for the reader any more
	once    sync.Once
}

// newStream starts copying. The read end can have a deadline, which makes it
// non-blocking; the other must not be that, so this is not os.Pipe.
func (o *output) newStream(to, file *os.File) (*stream, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	s := &stream{
		read: os.NewFile(uintptr(fds[0]), "|0"), write: os.NewFile(uintptr(fds[1]), "|1"), file: file,
		copied: make(chan struct{}), queue: make(chan []byte, 4),
		passed: make(chan struct{}), abandon: make(chan struct{}),
	}
	go s.copy(o)
	go s.drain(to)
	return s, nil
}

// copy records what comes, and passes it on: in this order, so that the log is
// complete however slow the reader is.
func (s *stream) copy(o *output) {
	defer close(s.copied)
	buf := make([]byte, 64<<10)
	for {
		n, err := s.read.Read(buf)
		if n > 0 {
			s.pass(o.record(s.file, buf[:n]))
		}
		if err != nil {
			return
		}
	}
}

// pass waits for room in the queue: a reader that is slow makes the command wait,
// as it would without us.
func (s *stream) pass(p []byte) {
	select {
	case s.queue <- bytes.Clone(p):
	case <-s.abandon:
	}
}

// offer passes on what is not worth waiting long for.
func (s *stream) offer(p []byte) {
	select {
	case s.queue <- p:
	case <-s.abandon:
	case <-time.After(again):
	}
}

// drain writes the queue. A reader that is gone stops nothing.
func (s *stream) drain(to *os.File) {
	defer close(s.passed)
	for {
		select {
		case p, more := <-s.queue:
			if !more {
				return
			}
			if _, err := to.Write(p); err != nil {
				s.giveUp()
				return
			}
		case <-s.abandon:
			return
		}
	}
}

func (s *stream) giveUp() { s.once.Do(func() { close(s.abandon) }) }

func (s *stream) closeWriter() {
	if s.write != nil {
		_ = s.write.Close() // nothing is buffered
		s.write = nil
	}
}

// finish ends both goroutines by the deadline. What is in the pipe then is
// still recorded.
func (s *stream) finish(o *output, deadline time.Time) {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-s.copied:
	case <-timer.C:
		timer.Reset(0)
		s.giveUp()
		_ = s.read.SetReadDeadline(time.Now()) // a pipe can have one
		<-s.copied
		o.record(s.file, s.rest())
	}
	close(s.queue)
	select {
	case <-s.passed:
	case <-timer.C:
		s.giveUp()
	}
	if s.file != nil {
		_ = s.file.Close() // as in record
	}
}

// rest is what is in the pipe when nobody copies it any more. What a busy machine leaves
// no time to read is not lost with a time limit.
func (s *stream) rest() []byte {
	_ = s.read.SetReadDeadline(time.Time{})
	raw, err := s.read.SyscallConn()
	if err != nil {
		return nil
	}
	buf, n := make([]byte, 64<<10), 0 // what a pipe holds
	_ = raw.Read(func(fd uintptr) bool {
		n, _ = unix.Read(int(fd), buf) // -1: nothing
		return true
	})
	return buf[:max(n, 0)]
}
