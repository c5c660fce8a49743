package buildkitd

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// openContent are the content stores that the process which listens at the other end of
// a Unix socket has open, wherever it keeps them; none if it is of another user, who must
// be root to see that.
func openContent(ctx context.Context, dial func(context.Context) (net.Conn, error)) []string {
	conn, err := dial(ctx)
	if err != nil {
		return nil
	}
	defer conn.Close()
	pid := listener(conn)
	if pid == 0 {
		return nil
	}
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	files, err := os.ReadDir(filepath.Join(proc, "fd"))
	if err != nil {
		return nil
	}
	var dirs []string
	for _, file := range files {
		// The database of a worker's content lies beside it.
		path, err := os.Readlink(filepath.Join(proc, "fd", file.Name()))
		if dir, found := strings.CutSuffix(path, "/containerdmeta.db"); err == nil && found {
			dirs = append(dirs, reachable(filepath.Join(dir, "content"), filepath.Join(proc, "root")))
		}
	}
	return dirs
}

// reachable is how we come to a directory that a process calls dir: by way of its root if
// it is in a container, and otherwise in a way that is still there when it has ended.
func reachable(dir, root string) string {
	its, err := os.Stat(filepath.Join(root, dir))
	if ours, ownErr := os.Stat(dir); err == nil && ownErr == nil && os.SameFile(its, ours) {
		return dir
	}
	return filepath.Join(root, dir)
}

// listener is the process that a Unix socket's connection was made to; 0 if it cannot be
// seen from here, or the connection is of another kind.
func listener(conn net.Conn) (pid int) {
	socket, ok := conn.(*net.UnixConn)
	if !ok {
		return 0
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		if peer, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(peer.Pid)
		}
	})
	return pid
}
