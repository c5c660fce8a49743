package buildkitd

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A lock is an flock on a file of its own. The kernel releases it when the
// process ends. The file is never removed: a lock on a removed file excludes
// nobody who opens the name again.
type lock struct{ file *os.File }

func openLock(path string) (*lock, error) {
	// Go opens with O_CLOEXEC; otherwise a daemon that we start would keep the lock.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening lock: %w", err)
	}
	return &lock{f}, nil
}

// try takes the lock, shared (unix.LOCK_SH) or exclusive (unix.LOCK_EX), if
// that is possible without waiting.
func (l *lock) try(how int) (bool, error) {
	err := unix.Flock(int(l.file.Fd()), how|unix.LOCK_NB)
	switch err {
	case nil:
		return true, nil
	case unix.EWOULDBLOCK, unix.EINTR:
		return false, nil
	}
	return false, fmt.Errorf("locking %s: %w", l.file.Name(), err)
}

// wait polls, because flock(2) itself cannot be interrupted by a context.
func (l *lock) wait(ctx context.Context, how int) error {
	for {
		ok, err := l.try(how)
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for lock %s: %w", l.file.Name(), context.Cause(ctx))
		case <-time.After(pollInterval):
		}
	}
}

func (l *lock) release() { l.file.Close() }
