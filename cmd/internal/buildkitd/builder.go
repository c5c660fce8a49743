package buildkitd

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/moby/buildkit/client"
)

// Builder is a buildkitd that has answered.
type Builder struct {
	// Client is connected to it.
	Client *client.Client
	// Addr is where it listens, without credentials.
	Addr string
	// Version is the daemon's own version; empty if it is older than v0.11.
	Version string
	// Private says that the daemon is the one of this package.
	Private bool
	// PID is the process to watch of a private daemon: buildkitd, or the
	// rootlesskit around it. 0 for any other daemon.
	PID int
	// LogFile is where a private daemon writes its log.
	LogFile string
	// Dial makes another connection to it, with TLS if the daemon wants that; nil
	// where that would run another program, as connection helpers do.
	Dial func(context.Context) (net.Conn, error)

	release func() error
	once    sync.Once
	err     error
}

// Close hangs up. A private daemon that nobody else uses is stopped, and is
// gone when Close returns; that takes a few seconds at most. Closing twice is
// harmless.
func (b *Builder) Close() error {
	b.once.Do(func() {
		b.err = b.Client.Close()
		if b.release != nil {
			b.err = errors.Join(b.err, b.release())
		}
	})
	return b.err
}
