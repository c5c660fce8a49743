package buildkitd

import (
	"os"
	"time"

	"github.com/moby/buildkit/util/appdefaults"
)

// Values of Options.Addr that are not addresses.
const (
	Auto    = "auto"
	Private = "private"
)

// defaultTimeout is how long a sidecar may take to come up. A native sidecar
// in Kubernetes is ready before the main container starts; one without a
// startup probe needs the time to pull nothing and open its databases.
const defaultTimeout = 10 * time.Second

// Options says which builder to use. The zero value means: find one.
type Options struct {
	// Addr is Auto, Private, or an address such as unix:///run/buildkit/buildkitd.sock,
	// tcp://builder:1234 or docker-container://NAME. Default: Auto.
	Addr string
	// TLS is used for tcp:// addresses. Default: none.
	TLS TLS
	// Insecure allows tcp:// without TLS to a host that is not this one.
	Insecure bool
	// Timeout is how long an address that the user gave (by Addr or
	// BUILDKIT_HOST) may take to answer. Default: 10 seconds.
	Timeout time.Duration
	// Env looks up environment variables. Default: os.Getenv.
	Env func(string) string
	// Notes receives one-line remarks for the user, from any goroutine. Default: they
	// are dropped.
	Notes func(format string, args ...any)

	seams seams
}

// seams are the parts of the machine that only a test may choose.
type seams struct {
	rootAddr string   // the default rootful address
	exeDir   string   // where our own executable lies
	sbin     []string // searched after PATH
}

func (o Options) withDefaults() Options {
	if o.Addr == "" {
		o.Addr = Auto
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Env == nil {
		o.Env = os.Getenv
	}
	if o.Notes == nil {
		o.Notes = func(string, ...any) {}
	}
	if o.seams.rootAddr == "" {
		o.seams.rootAddr = appdefaults.Address
	}
	if o.seams.exeDir == "" {
		o.seams.exeDir = executableDir()
	}
	if o.seams.sbin == nil {
		// Debian installs runc to /usr/sbin, which is not on an ordinary user's PATH.
		o.seams.sbin = []string{"/usr/local/sbin", "/usr/sbin", "/sbin"}
	}
	return o
}
