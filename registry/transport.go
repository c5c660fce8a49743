package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

const (
	dialTimeout     = 30 * time.Second
	idleConnections = 32 // per host: jobs for each of several repositories
)

// limits are how long a registry may do nothing.
type limits struct {
	header time.Duration // until its answer begins
	write  time.Duration // without taking one more byte
	read   time.Duration // without giving one
}

func defaultLimits() limits {
	const header = 2 * time.Minute // committing a large blob can take a registry that long
	return limits{header: header, write: time.Minute, read: header + 30*time.Second}
}

// Transport returns the transport that is the default for talking to
// registries. It has its own time limits: 30 s for connecting, 10 s for the TLS
// handshake, a minute without being able to send one more byte, and two minutes
// for an answer to begin once all is sent. Proxies come from the environment.
//
// It speaks HTTP/1.1 only. Uploads over HTTP/2 wait for the server's flow
// control window and are 10 to 20 times slower at usual round-trip times.
func Transport() http.RoundTripper { return newTransport(defaultLimits()) }

func newTransport(limits limits) *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}
	ahead := &spares{kept: map[string][]*spare{}, dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dialer.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return stallConn{c, limits}, nil
	}}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		OnProxyConnectResponse: proxyAnswer,
		DialContext:            ahead.DialContext,
		TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{},
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  limits.header,
		ExpectContinueTimeout:  time.Second,
		MaxIdleConns:           4 * idleConnections,
		MaxIdleConnsPerHost:    idleConnections,
		IdleConnTimeout:        90 * time.Second,
		WriteBufferSize:        64 << 10,
		ReadBufferSize:         64 << 10,
	}
}

// stallConn fails reads and writes that make no progress, which no time limit of
// http.Transport covers: a registry that stops in the middle of a layer would hold
// the push forever, and a limit for the whole of it would end those that are only
// slow. Reading may last longer than an answer may take to begin, and than an idle
// connection is kept; writing prolongs it, since the answer comes after.
type stallConn struct {
	net.Conn
	limits limits
}

func (c stallConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.limits.read)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c stallConn) Write(p []byte) (int, error) {
	sent := 0
	for {
		if err := c.SetWriteDeadline(time.Now().Add(c.limits.write)); err != nil {
			return sent, err
		}
		n, err := c.Conn.Write(p[sent:])
		sent += n
		if err == nil {
			return sent, c.SetReadDeadline(time.Now().Add(c.limits.read))
		}
		if n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return sent, err
		}
	}
}

// ReadFrom is how http.Transport sends a body over plain HTTP. On its own it takes
// 32 KiB at a time, which costs eight times the system calls.
func (c stallConn) ReadFrom(r io.Reader) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{c}, r, make([]byte, 256<<10))
}
