package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seatrial/seatrial/testsuite/helper/protocol"
)

// young is the age below which a directory of volumes may be one that is just being made.
const young = time.Minute

// lockName is the file whose lock says that a directory of volumes is in use, and
// fillName that of whoever puts an image's files into one.
const (
	lockName = "lock"
	fillName = "fill"
)

// shelter is a directory with the volumes of one run.
type shelter struct {
	dir  string
	lock *os.File
}

// openShelter makes a directory in root, and removes those that were left behind.
func openShelter(root string) (*shelter, error) {
	sweepVolumes(root)
	name := make([]byte, 16)
	_, _ = rand.Read(name) // never fails
	s := &shelter{dir: filepath.Join(root, hex.EncodeToString(name))}
	if err := os.Mkdir(s.dir, 0o755); err != nil {
		return nil, err
	}
	var err error
	if s.lock, err = locked(filepath.Join(s.dir, lockName), unix.LOCK_SH); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	return s, nil
}

// close removes all volumes. The lock ends with the process.
func (s *shelter) close() { _ = os.RemoveAll(s.dir) } // what stays is swept later

// locked is a file with a lock.
func locked(path string, how int) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), how); err != nil { //nolint:gosec // a descriptor is small
		return nil, errors.Join(&fs.PathError{Op: "lock", Path: path, Err: err}, file.Close())
	}
	return file, nil
}

// sweepVolumes removes the directories whose run was killed.
func sweepVolumes(root string) {
	dirs, err := os.ReadDir(root)
	if err != nil {
		return
	}
	for _, dir := range dirs {
		info, err := dir.Info()
		if err != nil || !dir.IsDir() || time.Since(info.ModTime()) < young {
			continue
		}
		path := filepath.Join(root, dir.Name())
		lock, err := locked(filepath.Join(path, lockName), unix.LOCK_EX|unix.LOCK_NB)
		if err != nil {
			continue // somebody has it
		}
		_ = os.RemoveAll(path) // somebody else may be at it as well
		_ = lock.Close()
	}
}

// fill is the mode that prepares the volumes of a service, whose container does not have
// them yet. It always exits 0 and prints what is wrong.
func fill(opt protocol.Fill) int {
	for _, v := range opt.Volumes {
		if err := fillVolume(v); err != nil {
			fmt.Println(err)
			return 0
		}
	}
	return 0
}

// fillVolume makes a volume, and puts into one that is empty what the image has at its
// target.
func fillVolume(v protocol.Volume) error {
	lock, err := locked(filepath.Join(filepath.Dir(v.Dir), fillName), unix.LOCK_EX)
	if err != nil {
		return fmt.Errorf("making the volume at %s: %w", v.Target, err)
	}
	defer lock.Close()
	err = os.Mkdir(v.Dir, 0o755)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("making the volume at %s: %w", v.Target, err)
	}
	have, err := os.ReadDir(v.Dir)
	if err == nil && len(have) == 0 {
		if err = copyTree(v.Target, v.Dir); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("filling the volume at %s: %w", v.Target, err)
	}
	return nil
}

// linkVolumes also goes back to the working directory, which may be in one of them.
func linkVolumes(volumes []protocol.Volume) error {
	if len(volumes) == 0 {
		return nil
	}
	here, err := unix.Getwd()
	if err != nil {
		return fmt.Errorf("finding the working directory: %w", err)
	}
	for _, v := range volumes {
		if err := linkVolume(v); err != nil {
			return err
		}
	}
	return os.Chdir(here)
}

// linkVolume has a volume be found at its target. Nothing can be mounted here.
func linkVolume(v protocol.Volume) error {
	if err := fillVolume(v); err != nil {
		return err
	}
	err := os.RemoveAll(v.Target)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(v.Target), 0o755)
	}
	if err == nil {
		err = os.Symlink(v.Dir, v.Target)
	}
	if err != nil {
		return fmt.Errorf("putting the volume at %s: %w", v.Target, err)
	}
	return nil
}
