package buildkitd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// launch starts a daemon after clearing away what a crashed one left.
func (h home) launch(ctx context.Context, opt Options) (*Builder, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	cmd, err := h.command(opt)
	if err != nil {
		return nil, err
	}
	if err := h.prepare(); err != nil {
		return nil, err
	}
	exited, err := h.spawn(cmd)
	if err != nil {
		return nil, err
	}
	r := record{Runtime: h.runtime}
	// A daemon that has exited already is found out by waitReady.
	if r.process, err = identify(cmd.Process.Pid); err != nil {
		r.process = process{PID: cmd.Process.Pid}
	}
	if err := h.writeRecord(r); err != nil {
		return nil, errors.Join(err, h.undo(r))
	}
	b, err := h.waitReady(ctx, opt, r.process, exited)
	if err != nil {
		return nil, errors.Join(err, h.undo(r))
	}
	return b, nil
}

// spawn starts the process with its output in the log.
func (h home) spawn(cmd *exec.Cmd) (exited <-chan struct{}, err error) {
	log, err := os.OpenFile(h.logFile(), os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the daemon's log: %w", err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	done := make(chan struct{})
	go func() { // ends with the daemon, which may outlive this process
		cmd.Wait()
		close(done)
	}()
	return done, nil
}

// waitReady polls the socket until the daemon answers, exits, or takes too long.
func (h home) waitReady(ctx context.Context, opt Options, p process, exited <-chan struct{}) (*Builder, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	go func() {
		select {
		case <-exited:
			cancel() // an unanswered request would wait for the time limit
		case <-ctx.Done():
		}
	}()
	note := time.NewTimer(noteAfter)
	defer note.Stop()
	for {
		// The socket is there before anybody serves it; dialling waits for that.
		if _, err := os.Stat(h.socket()); err == nil {
			b, err := h.dial(ctx, p)
			if err == nil {
				os.Chmod(h.socket(), 0o600) // buildkitd's 0660 matters only in a directory that others may enter
				return b, nil
			}
			if errors.Is(err, errNoWorkers) {
				return nil, h.startError(err)
			}
		}
		if done(exited) { // before ctx, which ends with it
			return nil, h.startError(errors.New("it exited"))
		}
		select {
		case <-exited:
		case <-ctx.Done():
			if done(exited) {
				continue
			}
			return nil, h.startError(fmt.Errorf("it does not answer after %s", startLimit))
		case <-note.C:
			opt.Notes("starting a private buildkitd (log: %s)", h.logFile())
		case <-time.After(pollInterval):
		}
	}
}

func done(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (h home) startError(err error) error {
	log := tail(h.logFile(), logLines)
	return &Error{Addr: Private, Err: fmt.Errorf("starting buildkitd: %w", err), Log: log, Hint: startHint(log)}
}

// undo ends a daemon that was only just started: rootlesskit may have died of
// the signal before it was ready to pass it on.
func (h home) undo(r record) error { return errors.Join(h.stop(r), h.clear()) }

// prepare makes room for a new daemon. Looking through every process is only
// worth its time if there is a trace of an earlier daemon.
func (h home) prepare() error {
	taken, err := h.stateTaken()
	if err != nil {
		return err
	}
	if _, err := os.Lstat(h.record()); taken || err == nil {
		if err := h.clear(); err != nil {
			return err
		}
	}
	return h.makeRuntime()
}

// makeRuntime makes the directory for sockets. The parent is shared with other
// state directories, whose last user removes it when it is empty.
func (h home) makeRuntime() error {
	var err error
	for range 10 {
		if err = makeOwn(filepath.Dir(h.runtime)); err != nil {
			return err
		}
		if err = makeOwn(h.runtime); err == nil || !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(h.tmp(), 0o700); err != nil {
		return fmt.Errorf("making the daemon's temporary directory: %w", err)
	}
	// The sticky bit keeps systemd-tmpfiles from removing sockets it finds old.
	return os.Chmod(h.runtime, 0o700|fs.ModeSticky)
}
