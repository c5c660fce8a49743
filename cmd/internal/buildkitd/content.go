package buildkitd

import (
	"context"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/moby/buildkit/util/appdefaults"
)

// ContentDirs are the content stores on this machine that may be the daemon's:
// the private one's, or, if it is reached by a socket, those that it has open, else
// those at the default places, where a pod can mount a sidecar's. It may be empty, and what
// it names may be unreadable.
func (b *Builder) ContentDirs(ctx context.Context) []string {
	var roots []string
	switch {
	case b.Private:
		roots = []string{filepath.Dir(b.LogFile)}
	case strings.HasPrefix(b.Addr, "unix://"):
		if dirs := openContent(ctx, b.Dial); len(dirs) > 0 {
			return dirs
		}
		roots = defaultRoots()
	case strings.HasPrefix(b.Addr, "tcp://"):
		if u, err := url.Parse(b.Addr); err == nil && isLoopback(u.Hostname()) {
			roots = defaultRoots()
		}
	}
	var dirs []string
	for _, root := range roots {
		// One for each snapshotter that was ever used there.
		found, err := filepath.Glob(filepath.Join(root, "runc-*", "content"))
		if err == nil {
			dirs = append(dirs, found...)
		}
	}
	return dirs
}

func defaultRoots() []string { return []string{appdefaults.Root, appdefaults.UserRoot()} }
