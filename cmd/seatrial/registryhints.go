package main

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/seatrial/seatrial/registry"
)

// connectionHints say what can be done if it is the connection that the registry, or
// we, do not want; nil if it is not.
func connectionHints(e *registry.Error) []string {
	var (
		authority x509.UnknownAuthorityError
		invalid   *tls.CertificateVerificationError
		plain     *registry.PlainHTTPError
		alert     *net.OpError // an alert of TLS
		proxy     *registry.ProxyError
	)
	switch {
	case e.Kind == registry.KindNotRegistry:
		return []string{fmt.Sprintf("%s does not look like a registry: is the name right, or does the network here want a login first?", e.Registry)}
	case errors.As(e, &proxy):
		lines := []string{proxyHint(proxy)}
		if errors.As(e, &plain) {
			lines = append(lines, plainHint(e))
		}
		return lines
	case errors.As(e, &authority):
		return []string{fmt.Sprintf("the certificate of %s is by a CA that is not known here: --registry-ca FILE names it, or put it into /etc/docker/certs.d/%s/ca.crt", e.Registry, e.Registry)}
	case errors.As(e, &invalid):
		return []string{fmt.Sprintf("the certificate of %s is not right for it; --insecure-registry %s does not look at it, and nobody knows then who gets the image and the password", e.Registry, e.Registry)}
	case errors.As(e, &plain), errors.Is(e, http.ErrSchemeMismatch) && e.Status == 0: // else plain HTTP was answered
		return []string{plainHint(e)}
	case strings.Contains(e.Error(), "is a private or link-local address"): // go-containerregistry has no type for it
		return []string{fmt.Sprintf("%s gives its tokens at a private address that is not its own, where no password is sent: it has to name its token server by a host name", e.Registry)}
	case strings.Contains(e.Error(), "sends the upload from https to"):
		return []string{fmt.Sprintf("the registry does not know that it is reached by HTTPS: what takes HTTPS for it at %s has to pass on X-Forwarded-Proto: https", e.Registry)}
	case errors.As(e, &alert) && alert.Op == "remote error" && strings.Contains(alert.Error(), "certificate"):
		return []string{fmt.Sprintf("%s wants a client certificate that it knows: put it into a folder that --registry-certs names, as %s/client.cert and %s/client.key", e.Registry, e.Registry, e.Registry)}
	}
	return nil
}

func plainHint(e *registry.Error) string {
	return fmt.Sprintf("if %s speaks plain HTTP only: --insecure-registry %s; everybody on the way can read the password then", e.Registry, e.Registry)
}

func proxyHint(e *registry.ProxyError) string {
	variable := cmp.Or(e.Variable, "HTTPS_PROXY")
	without := fmt.Sprintf("NO_PROXY=%s goes to %s without it", e.Host, e.Host)
	if e.Status == http.StatusProxyAuthRequired {
		return fmt.Sprintf("the proxy wants to know who is there: in %s, USER:PASSWORD@ goes before its host; or %s", variable, without)
	}
	return fmt.Sprintf("is the proxy that %s names the right one, and does it let this through? %s", variable, without)
}
