package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// downgradeWait is how long plain HTTP waits for HTTPS to the same host to succeed or
// fail: a host may let one hang and answer the other.
const downgradeWait = 5 * time.Second

// errHTTPS is why a host that speaks HTTPS is not spoken to otherwise.
var errHTTPS = errors.New("it speaks HTTPS")

// downgrades knows of hosts whether the first try over HTTPS found a wrong
// certificate. go-containerregistry tries plain HTTP next where that may be spoken, but
// that would hand the password to whoever has put himself between, and tell the user of
// the wrong thing.
type downgrades struct {
	mu    sync.Mutex
	tried map[string]*firstTry
}

type firstTry struct {
	done  chan struct{}
	wrong bool // set before done is closed
}

// https makes the request, and notes how the first one to its host ends.
func (d *downgrades) https(rt http.RoundTripper, req *http.Request) (*http.Response, error) {
	d.mu.Lock()
	first := d.tried[req.URL.Host] == nil
	if first {
		d.tried[req.URL.Host] = &firstTry{done: make(chan struct{})}
	}
	try := d.tried[req.URL.Host]
	d.mu.Unlock()
	resp, err := rt.RoundTrip(req)
	if first {
		var certificate *tls.CertificateVerificationError
		var alert *net.OpError // what the other side thinks of ours
		try.wrong = errors.As(err, &certificate) || errors.As(err, &alert) && alert.Op == "remote error"
		close(try.done)
	}
	return resp, err
}

// allow waits for the first try over HTTPS, if there is one.
func (d *downgrades) allow(ctx context.Context, host string) error {
	d.mu.Lock()
	try := d.tried[host]
	d.mu.Unlock()
	if try == nil {
		return nil
	}
	wait := time.NewTimer(downgradeWait)
	defer wait.Stop()
	select {
	case <-try.done:
		if try.wrong {
			return errHTTPS
		}
	case <-wait.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}
