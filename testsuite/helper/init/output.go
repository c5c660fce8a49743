package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/seatrial/seatrial/testsuite/helper/protocol"
	"golang.org/x/sys/unix"
)

// output is what a command prints: into the log, and on to whoever reads this
// process's own stdout and stderr.
type output struct {
	mu        sync.Mutex
	log       *os.File // nil: none, or no more
	truncated error    // why there is no more

	out, err *stream // the same one if they are not kept apart
}

// openOutput makes the pipes, and the log files if there is a place for them.
func openOutput(opt protocol.Run) (*output, error) {
	o := &output{}
	if err := o.openLogs(opt); err != nil {
		return nil, errors.Join(err, o.finish(0))
	}
	return o, nil
}

func (o *output) openLogs(opt protocol.Run) error {
	var err error
	if opt.Out != "" {
		o.log, err = create(opt.Out, protocol.LogFile)
		if err != nil && !full(err) {
			return err
		}
		o.truncated = err
	}
	if !opt.Split {
		o.out, err = o.newStream(os.Stdout, nil)
		o.err = o.out
		return err
	}
	var files [2]*os.File
	for i, name := range []string{protocol.StdoutFile, protocol.StderrFile} {
		if opt.Out == "" {
			break
		}
		if files[i], err = create(opt.Out, name); err != nil && !full(err) {
			return err
		}
	}
	if o.out, err = o.newStream(os.Stdout, files[0]); err != nil {
		return err
	}
	o.err, err = o.newStream(os.Stderr, files[1])
	return err
}

func create(dir, name string) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_TRUNC|os.O_WRONLY|unix.O_NOFOLLOW, 0o644)
}

// full tells an error that comes of a full disk: no reason not to run a test.
func full(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// say adds a line of ours to what the command printed. It does not wait for a
// reader that has stopped.
func (o *output) say(line string) {
	o.err.offer(o.record(o.err.file, []byte("seatrial: "+line+"\n")))
}

// record writes to the log, up to the first error, and returns p.
func (o *output) record(also *os.File, p []byte) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.log != nil {
		if _, err := o.log.Write(p); err != nil {
			o.truncated = err
			_ = o.log.Close() // what is in it stays
			o.log = nil
		}
	}
	if also != nil {
		_, _ = also.Write(p) // the log says if the disk is full
	}
	return p
}

// give makes the pipes the account's, which may want to open them by the names
// /dev/stdout and /dev/stderr.
func (o *output) give(to *account) {
	for _, s := range o.streams() {
		_ = s.write.Chown(int(to.uid), int(to.gid)) // they can be written to without, too
	}
}

// started closes our end of what the command has now.
func (o *output) started() {
	for _, s := range o.streams() {
		s.closeWriter()
	}
}

// finish waits until all that was printed is written, or for as long as given. A
// process that could not be ended may still hold the pipe, and whoever reads our
// output may have stopped to.
func (o *output) finish(wait time.Duration) error {
	o.started()
	deadline := time.Now().Add(wait)
	for _, s := range o.streams() {
		s.finish(o, deadline)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.log != nil {
		if err := o.log.Close(); err != nil {
			o.truncated = err
		}
		o.log = nil
	}
	return o.truncated
}

func (o *output) streams() []*stream {
	all := slices.DeleteFunc([]*stream{o.out, o.err}, func(s *stream) bool { return s == nil })
	return slices.Compact(all)
}
