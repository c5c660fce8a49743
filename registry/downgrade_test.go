package registry_test

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// peeked is a connection of which the first bytes were looked at.
type peeked struct {
	net.Conn
	in *bufio.Reader
}

func (p peeked) Read(b []byte) (int, error) { return p.in.Read(b) }

// split hands connections that begin with TLS, and all others, to different servers on
// one port.
func split(t *testing.T, overTLS, plain func(net.Conn)) (host string) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lis.Close() })
	go func() {
		for {
			c, err := lis.Accept()
			if err != nil {
				return // closed
			}
			go func() {
				conn := peeked{c, bufio.NewReader(c)}
				first, err := conn.in.Peek(1)
				switch {
				case err != nil:
					c.Close()
				case first[0] == 0x16: // a handshake: RFC 8446, 5.1
					overTLS(conn)
				default:
					plain(conn)
				}
			}()
		}
	}()
	return lis.Addr().String()
}

// join hands a connection on to a server.
func join(host string) func(net.Conn) {
	return func(c net.Conn) {
		defer c.Close()
		far, err := net.Dial("tcp", host)
		if err != nil {
			return
		}
		defer far.Close()
		go func() {
			_, _ = bufio.NewReader(far).WriteTo(c)
			c.Close()
		}()
		_, _ = bufio.NewReader(c).WriteTo(far)
	}
}

// At a distance, waiting for the attempt at HTTPS before plain HTTP costs a round trip.
func TestPlainPingDoesNotWaitForHTTPS(t *testing.T) {
	var once sync.Once
	pinged := make(chan struct{})
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.URL.Path == "/v2/" {
				once.Do(func() { close(pinged) })
			}
			next.ServeHTTP(w, req)
		})
	}})
	var waited atomic.Bool
	host := split(t, func(c net.Conn) {
		defer c.Close()
		select {
		case <-pinged:
		case <-time.After(4 * time.Second): // HTTPS is waited for longer
			waited.Store(true)
		}
	}, join(reg.Host))
	hosts, err := registry.NewHosts(registry.HostOptions{})
	if err != nil {
		t.Fatal(err)
	}
	push(t, loaded(t), registry.Options{Transport: hosts}, host+"/app:1")
	if waited.Load() {
		t.Error("the ping over plain HTTP was not sent before HTTPS had failed")
	}
	if n := reg.Count("GET", "/v2/"); n != 1 {
		t.Errorf("%d pings, want 1", n)
	}
}

// Whoever answers plain HTTP for a host whose certificate is wrong gets no password, nor
// anything but the ping.
func TestWrongCertificateIsNotDowngraded(t *testing.T) {
	genuine := testenv.StartRegistry(t, testenv.RegistryOptions{TLS: true})
	trap := testenv.StartRegistry(t, testenv.RegistryOptions{})
	host := split(t, join(genuine.Host), join(trap.Host))
	hosts, err := registry.NewHosts(registry.HostOptions{})
	if err != nil {
		t.Fatal(err)
	}
	opt := registry.Options{Transport: hosts, Keychain: fixed{&authn.Basic{Username: "user", Password: "secret"}}}
	_, err = newPush(t, opt, host+"/app:1").WithBackoff(time.Millisecond).Commit(t.Context(), loaded(t))
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("Commit = %v, want an error about the certificate", err)
	}
	for _, req := range trap.Requests() {
		if got := req.String(); got != "GET /v2/" {
			t.Errorf("plain HTTP was asked for %s", got)
		}
	}
}

// fixed is a keychain with one entry.
type fixed struct{ authn.Authenticator }

func (f fixed) Resolve(authn.Resource) (authn.Authenticator, error) { return f.Authenticator, nil }
