package registry

import (
	"net/http"
	"time"
)

// WithBackoff makes the first wait before a repetition at most d.
func (p *Push) WithBackoff(d time.Duration) *Push {
	p.network.retry.first = d
	return p
}

// TransportWith is Transport with other limits for a registry that does nothing.
func TransportWith(header, write time.Duration) http.RoundTripper {
	return newTransport(limits{header: header, write: write, read: header + write})
}
