package buildkitd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// startLimit bounds a start. 0.2–0.35 s is usual; large databases on a
	// slow disk take longer.
	startLimit = 30 * time.Second
	// stopGrace is what a daemon without users may take to end by itself.
	stopGrace = 3 * time.Second
	// noteAfter is when a user begins to wonder.
	noteAfter = time.Second
)

// connectPrivate joins the daemon of this state directory, or starts it.
//
// The start lock makes starting and stopping one thing at a time. The users
// lock is shared by everybody who works with the daemon, and is taken and given
// back under the start lock: who then gets it exclusively is alone, so nobody
// can be handed a daemon that is about to end.
func connectPrivate(ctx context.Context, opt Options) (*Builder, error) {
	h, err := openHome(opt)
	if err != nil {
		return nil, privateError(ctx, err)
	}
	// Whoever has the lock may be starting, for which it has startLimit, after stopping.
	lockCtx, cancel := context.WithTimeout(ctx, 2*startLimit)
	defer cancel()
	start, err := h.lockStart(lockCtx)
	if err != nil {
		return nil, privateError(ctx, err)
	}
	defer start.release()
	users, err := h.lockUsers(lockCtx)
	if err != nil {
		return nil, privateError(ctx, err)
	}
	b, err := h.join(ctx, opt, users)
	if err != nil {
		return nil, privateError(ctx, errors.Join(err, h.leave(users)))
	}
	b.release = func() error { return h.leaveLast(users) }
	return b, nil
}

// privateError gives every error the same type, except for interruptions.
func privateError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return interrupted(ctx)
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Addr: Private, Err: err}
}

// join returns the daemon that runs, or a new one. It is called with the start
// lock held.
func (h home) join(ctx context.Context, opt Options, users *lock) (*Builder, error) {
	r := h.readRecord()
	if !r.alive() {
		return h.launch(ctx, opt)
	}
	running := home{state: h.state, runtime: r.Runtime}
	waitCtx, cancel := context.WithTimeout(ctx, opt.Timeout)
	defer cancel()
	b, err := running.dial(waitCtx, r.process)
	if err == nil || ctx.Err() != nil {
		return b, err
	}
	// It runs but does not answer, or its socket was removed.
	if alone, lockErr := users.try(unix.LOCK_EX); lockErr != nil || !alone {
		return nil, &Error{Addr: Private, Err: fmt.Errorf("asking the running daemon (process %d): %w", r.PID, err),
			Log: tail(h.logFile(), logLines), Hint: "other runs use it; try again when they are done"}
	}
	if _, err := users.try(unix.LOCK_SH); err != nil {
		return nil, err
	}
	opt.Notes("the private buildkitd does not answer; starting another one")
	if err := running.stop(r); err != nil {
		return nil, err
	}
	return h.launch(ctx, opt)
}

// dial returns a daemon that is known to run.
func (h home) dial(ctx context.Context, p process) (*Builder, error) {
	c, version, err := dialOnce(ctx, h.addr(), nil)
	if err != nil {
		return nil, err
	}
	return &Builder{Client: c, Addr: h.addr(), Version: version, Private: true, PID: p.PID, LogFile: h.logFile()}, nil
}

// launch starts a daemon after clearing away what a crashed one left.
func (h home) launch(ctx context.Context, opt Options) (*Builder, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	cmd, err := h.command(opt)
	if err != nil {
		return nil, err
	}
	if err := h.clear(); err != nil {
		return nil, err
	}
	if err := h.makeRuntime(); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(h.logFile(), os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the daemon's log: %w", err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	exited := make(chan struct{})
	go func() { // ends with the daemon, which may outlive this process
		cmd.Wait()
		close(exited)
	}()
	r := record{Runtime: h.runtime}
	// A daemon that has exited already is found out by waitReady.
	if r.process, err = identify(cmd.Process.Pid); err != nil {
		r.process = process{PID: cmd.Process.Pid}
	}
	if err := h.writeRecord(r); err != nil {
		return nil, errors.Join(err, h.stop(r))
	}
	b, err := h.waitReady(ctx, opt, r.process, exited)
	if err != nil {
		return nil, errors.Join(err, h.stop(r))
	}
	return b, nil
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

// leaveLast is leave for a builder that is closed.
func (h home) leaveLast(users *lock) error {
	// Who holds the start lock that long is starting, so is a user and will leave later.
	ctx, cancel := context.WithTimeout(context.Background(), stopGrace+killLimit)
	defer cancel()
	start, err := h.lockStart(ctx)
	if err != nil {
		users.release()
		return nil
	}
	defer start.release()
	return h.leave(users)
}

// leave gives the users lock back, and stops the daemon if that was the last
// one. It is called with the start lock held.
func (h home) leave(users *lock) error {
	defer users.release()
	alone, err := users.try(unix.LOCK_EX)
	if err != nil || !alone {
		return err
	}
	r := h.readRecord()
	if r.PID == 0 {
		return h.tidy()
	}
	return home{state: h.state, runtime: r.Runtime}.stop(r)
}

// stop ends the daemon and clears up after it, which a dead one could not.
func (h home) stop(r record) error {
	if r.alive() {
		if err := r.stop(stopGrace); err != nil {
			return err
		}
	}
	return h.clear()
}

// clear removes what a daemon that is gone left: processes, mounts, files.
// It refuses to if another daemon works here, for they would be that one's.
func (h home) clear() error {
	if err := h.killDaemons(); err != nil {
		return err
	}
	taken, err := h.stateTaken()
	if err != nil {
		return err
	}
	if taken {
		return &Error{Addr: Private, Err: fmt.Errorf("the state directory %s is in use by another buildkitd", h.state),
			Hint: "stop that one or name it with --addr; or name another state directory by XDG_CACHE_HOME"}
	}
	if err := errors.Join(h.killSteps(), h.unmount()); err != nil {
		return err
	}
	return h.tidy()
}

// tidy removes files; build steps and mounts are gone by now.
func (h home) tidy() error {
	err := errors.Join(os.RemoveAll(h.runtime), os.RemoveAll(h.tmp()), os.RemoveAll(h.record()))
	os.Remove(filepath.Dir(h.runtime)) // if nothing else is in it
	return err
}
