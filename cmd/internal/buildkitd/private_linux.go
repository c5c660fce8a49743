package buildkitd

import (
	"context"
	"errors"
	"fmt"
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
		return nil, &Error{Addr: Private, Err: err,
			Hint: "XDG_CACHE_HOME names another directory for the state, XDG_RUNTIME_DIR one for sockets"}
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
	running := h.of(r)
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
	return &Builder{Client: c, Addr: h.addr(), Version: version, Private: true, PID: p.PID, LogFile: h.logFile(), Dial: dialSocket(h.addr())}, nil
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
	return h.of(r).stop(r)
}

// stop ends the daemon and clears up after it if it could not do so itself.
func (h home) stop(r record) error {
	how, err := r.process.stop(stopGrace)
	if err != nil {
		return err
	}
	// A daemon that was killed a moment ago may not be gone yet, and then seems to
	// have ended because it was told to: its steps tell otherwise. So do mounts, as
	// of a filesystem that it was just reading.
	steps, err := matching(h.isStep())
	if how == orderly && err == nil && len(steps) == 0 {
		return errors.Join(h.unmount(), h.tidy())
	}
	return h.clear()
}

// clear removes what a daemon that is gone left: processes, mounts, files.
// It refuses to if another daemon works here, for they would be that one's.
func (h home) clear() error {
	if err := h.killDaemons(); err != nil {
		return err
	}
	taken, err := h.staysTaken()
	if err != nil {
		return err
	}
	if taken {
		return &Error{Addr: Private, Err: fmt.Errorf("the state directory %s is in use by another buildkitd", h.state),
			Hint: "stop that one or name it with --addr; or name another state directory by XDG_CACHE_HOME"}
	}
	if err := errors.Join(h.killSteps(), h.deleteContainers(), h.unmount()); err != nil {
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
