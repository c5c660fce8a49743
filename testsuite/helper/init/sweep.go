package main

import (
	"net"
	"os"
	"path/filepath"
	"time"
)

// abandoned is the age from which on a directory of sockets may be one that was left
// behind: whoever made it was killed.
const abandoned = 24 * time.Hour

// sweep removes the directories in mesh that were left behind.
func sweep(mesh string) {
	dirs, err := os.ReadDir(mesh)
	if err != nil {
		return
	}
	for _, dir := range dirs {
		info, err := dir.Info()
		if err != nil || !dir.IsDir() || time.Since(info.ModTime()) < abandoned {
			continue
		}
		if path := filepath.Join(mesh, dir.Name()); !answers(path) {
			_ = os.RemoveAll(path) // somebody else may be at it as well
		}
	}
}

// answers tells whether somebody listens on a socket in dir.
func answers(dir string) bool {
	sockets, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, socket := range sockets {
		conn, err := net.Dial("unix", filepath.Join(dir, socket.Name()))
		if err == nil {
			_ = conn.Close()
			return true
		}
	}
	return false
}
