package buildkitd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	socketName = "buildkitd.sock"
	// maxSocketPath is the kernel's limit for a Unix socket's path.
	maxSocketPath = 107
)

// home is where a private daemon lives. The state directory is its identity;
// locks and record lie there, so that two runs with different runtime
// directories (a login and a cron job) still find the same daemon.
type home struct {
	state   string
	runtime string // for sockets; in use while the daemon runs
	oci     string // path of runc, or what stands in for it; "" if there is none
}

// of is the home of a daemon that an earlier run started.
func (h home) of(r record) home {
	h.runtime = r.Runtime
	return h
}

func (h home) socket() string  { return filepath.Join(h.runtime, socketName) }
func (h home) addr() string    { return "unix://" + h.socket() }
func (h home) logFile() string { return filepath.Join(h.state, "buildkitd.log") }
func (h home) tmp() string     { return filepath.Join(h.state, "tmp") }
func (h home) record() string  { return filepath.Join(h.state, "seatrial.json") }

// A record tells the next process of the daemon that runs.
type record struct {
	process
	Runtime string `json:"runtime"`
}

func (h home) writeRecord(r record) error {
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	// Rename, so that a crash never leaves half a record.
	tmp := h.record() + ".new"
	if err := os.WriteFile(tmp, raw, 0o600); err != nil {
		return fmt.Errorf("writing record of the daemon: %w", err)
	}
	return os.Rename(tmp, h.record())
}

// readRecord returns the zero record if there is none, or none that makes sense.
func (h home) readRecord() record {
	var r record
	raw, err := os.ReadFile(h.record())
	if err != nil || json.Unmarshal(raw, &r) != nil || filepath.Base(r.Runtime) != filepath.Base(h.runtime) {
		return record{}
	}
	return r
}

func (h home) lockStart(ctx context.Context) (*lock, error) {
	l, err := openLock(filepath.Join(h.state, "seatrial-start.lock"))
	if err != nil {
		return nil, err
	}
	if err := l.wait(ctx, unix.LOCK_EX); err != nil {
		l.release()
		return nil, err
	}
	return l, nil
}

func (h home) lockUsers(ctx context.Context) (*lock, error) {
	l, err := openLock(filepath.Join(h.state, "seatrial-users.lock"))
	if err != nil {
		return nil, err
	}
	if err := l.wait(ctx, unix.LOCK_SH); err != nil {
		l.release()
		return nil, err
	}
	return l, nil
}

// stateTaken reports whether another daemon works in the state directory.
// buildkitd holds this lock as long as it runs.
func (h home) stateTaken() (bool, error) {
	path := filepath.Join(h.state, "buildkitd.lock")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	l, err := openLock(path)
	if err != nil {
		return false, err
	}
	defer l.release()
	free, err := l.try(unix.LOCK_EX)
	return !free, err
}

// staysTaken waits for a daemon that is on its way out: a process that is being
// killed has lost its command line before it gives up its files.
func (h home) staysTaken() (bool, error) {
	for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(pollInterval) {
		taken, err := h.stateTaken()
		if err != nil || !taken || time.Now().After(deadline) {
			return taken, err
		}
	}
}

// openHome makes the directories, for this user only.
func openHome(opt Options) (home, error) {
	cache, err := cacheDir(opt)
	if err != nil {
		return home{}, err
	}
	state := filepath.Join(cache, "seatrial", "buildkit")
	if err := os.MkdirAll(state, 0o700); err != nil {
		return home{}, fmt.Errorf("making the state directory: %w", err)
	}
	// One directory has one identity, whichever way leads to it.
	if state, err = filepath.EvalSymlinks(state); err != nil {
		return home{}, fmt.Errorf("resolving the state directory: %w", err)
	}
	if err := makeOwn(state); err != nil {
		return home{}, err
	}
	sum := sha256.Sum256([]byte(state))
	runtime, err := runtimeDir(opt, hex.EncodeToString(sum[:6]))
	if err != nil {
		return home{}, err
	}
	return home{state: state, runtime: runtime, oci: anyRuntime(opt)}, nil
}

func cacheDir(opt Options) (string, error) {
	if dir := opt.Env("XDG_CACHE_HOME"); filepath.IsAbs(dir) {
		return dir, nil
	}
	dir, err := homeDir(opt)
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, ".cache"), nil
}

// homeDir is $HOME, except for a root whose HOME is somebody else's: sudo and
// CI containers do that, and root's files there would lock their owner out.
func homeDir(opt Options) (string, error) {
	dir := opt.Env("HOME")
	if filepath.IsAbs(dir) && (os.Geteuid() != 0 || ownerOf(dir) == 0) {
		return dir, nil
	}
	if u, err := user.LookupId(strconv.Itoa(os.Geteuid())); err == nil && filepath.IsAbs(u.HomeDir) {
		return u.HomeDir, nil
	}
	if filepath.IsAbs(dir) {
		return dir, nil
	}
	return "", errors.New("finding the state directory: neither XDG_CACHE_HOME nor HOME is set")
}

// ownerOf returns -1 if that is unknown.
func ownerOf(path string) int {
	info, err := os.Stat(path)
	if err != nil {
		return -1
	}
	return int(info.Sys().(*syscall.Stat_t).Uid)
}

// runtimeDir returns the first place that is ours and short enough; it is made
// when a daemon starts.
func runtimeDir(opt Options, name string) (string, error) {
	uid := os.Geteuid()
	var parents []string
	if uid == 0 {
		parents = append(parents, "/run/seatrial")
	} else {
		for _, dir := range []string{opt.Env("XDG_RUNTIME_DIR"), fmt.Sprintf("/run/user/%d", uid)} {
			if filepath.IsAbs(dir) && ownerOf(dir) == uid {
				parents = append(parents, filepath.Join(dir, "seatrial"))
			}
		}
	}
	for _, dir := range []string{opt.Env("TMPDIR"), "/tmp"} {
		if filepath.IsAbs(dir) {
			parents = append(parents, filepath.Join(dir, fmt.Sprintf("seatrial-%d", uid)))
		}
	}
	var errs []error
	for _, parent := range parents {
		dir := filepath.Join(parent, name)
		if socket := filepath.Join(dir, socketName); len(socket) > maxSocketPath {
			errs = append(errs, fmt.Errorf("making a socket in %s: the path is longer than %d bytes", dir, maxSocketPath))
			continue
		}
		if err := mayOwn(parent); err != nil {
			errs = append(errs, err)
			continue
		}
		return dir, nil
	}
	return "", fmt.Errorf("finding a directory for sockets: %w", errors.Join(errs...))
}

// mayOwn reports why makeOwn would fail, without making anything: a run that
// joins a daemon elsewhere needs no directory.
func mayOwn(dir string) error {
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return checkOwn(dir)
	}
	if err := unix.Access(filepath.Dir(dir), unix.W_OK|unix.X_OK); err != nil {
		return fmt.Errorf("making a directory in %s: %w", filepath.Dir(dir), err)
	}
	return nil
}

// makeOwn makes the directory, or makes sure that nobody else can use it.
func makeOwn(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("making a directory for the daemon: %w", err)
	}
	if err := checkOwn(dir); err != nil {
		return err
	}
	return os.Chmod(dir, 0o700)
}

// checkOwn refuses what somebody else may have put into /tmp before us, to see
// what we write there.
func checkOwn(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("making a directory for the daemon: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("using %s for the daemon: it is not a directory", dir)
	}
	if uid := int(info.Sys().(*syscall.Stat_t).Uid); uid != os.Geteuid() {
		return fmt.Errorf("using %s for the daemon: it belongs to user %d", dir, uid)
	}
	return nil
}
