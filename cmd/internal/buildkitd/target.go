package buildkitd

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"

	"github.com/moby/buildkit/client"
)

// A target is an address that the user gave, and how to protect the way there.
type target struct {
	url  *url.URL
	tls  *tls.Config // nil: none
	opts []client.ClientOpt
}

func newTarget(opt Options, u *url.URL) (target, error) {
	t := target{url: u}
	if u.Scheme != "tcp" {
		if opt.TLS.enabled() {
			opt.Notes("TLS is for tcp:// builders; it is not used for %s", redact(u))
		}
		return t, nil
	}
	if opt.TLS.enabled() {
		files, err := opt.TLS.resolve(u.Hostname())
		if err != nil {
			return t, usage(redact(u), err, "")
		}
		if t.tls, err = files.config(); err != nil {
			return t, usage(redact(u), err, "")
		}
		t.opts = files.clientOptions()
		return t, nil
	}
	if !opt.Insecure && !isLoopback(u.Hostname()) {
		return t, usage(redact(u),
			errors.New("refusing an unprotected connection to another host: who can reach that port can read and change every build"),
			"give the daemon certificates and name ours with --tlsdir, or accept the risk with --insecure-builder")
	}
	return t, nil
}

// dialer is for Builder.Dial. It is nil where gRPC would go through a proxy: that
// is left to gRPC.
func (t target) dialer() func(context.Context) (net.Conn, error) {
	switch t.url.Scheme {
	case "unix":
		return dialSocket(t.url.String())
	case "tcp":
		proxy, err := http.ProxyFromEnvironment(&http.Request{URL: &url.URL{Scheme: "https", Host: t.url.Host}})
		if proxy != nil || err != nil {
			return nil
		}
	default:
		return nil
	}
	return func(ctx context.Context) (net.Conn, error) {
		if t.tls != nil {
			return (&tls.Dialer{Config: t.tls}).DialContext(ctx, "tcp", t.url.Host)
		}
		return new(net.Dialer).DialContext(ctx, "tcp", t.url.Host)
	}
}

// dialSocket is for the Builder.Dial of a unix:// address.
func dialSocket(addr string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", unixPath(addr))
	}
}
