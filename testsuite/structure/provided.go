package structure

import (
	"io/fs"
	"strings"

	fstypes "github.com/tonistiigi/fsutil/types"
)

// atRun are the files that a container has whether its image has them or not, with
// what Docker makes them. Tests written for container-structure-test count on them.
func atRun() map[string]fs.FileMode {
	return map[string]fs.FileMode{
		"/dev": fs.ModeDir | 0o755, "/proc": fs.ModeDir | 0o755, "/sys": fs.ModeDir | 0o755, "/etc": fs.ModeDir | 0o755,
		"/dev/pts": fs.ModeDir | 0o755, "/dev/shm": fs.ModeDir | 0o755, "/dev/console": 0o755,
		"/etc/hosts": 0o755, "/etc/hostname": 0o755, "/etc/resolv.conf": 0o755,
	}
}

// containerOnly marks them.
const containerOnly = "seatrial.container-only"

// provide adds to a directory what a container has there.
func provide(dir string, entries map[string]*fstypes.Stat) {
	for name, m := range atRun() {
		i := strings.LastIndex(name, "/")
		if base := name[i+1:]; name[:max(i, 1)] == dir && entries[base] == nil {
			entries[base] = &fstypes.Stat{Path: base, Mode: uint32(m), Xattrs: map[string][]byte{containerOnly: nil}}
		}
	}
}

// provided tells such a file from the image's.
func provided(st *fstypes.Stat) bool {
	_, ok := st.Xattrs[containerOnly]
	return ok
}
