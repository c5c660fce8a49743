package registry

import (
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// ownAddress stands for the registry's address in that of a token server at another of
// its ports. go-containerregistry refuses token servers at private addresses, but for the
// registry's very host and port, lest a registry have its clients ask around in a private
// network. The registry's own address is no secret to it: GitLab at 10.0.0.5 has its
// registry at 10.0.0.5:5050, and the tokens at 10.0.0.5. No host has this name.
const ownAddress = "registry-address.invalid"

var realms = regexp.MustCompile(`(?i)\brealm="[^"]*"`)

// disguise has ownAddress stand in an answer where the registry says which its token
// server is, and where that one sends us on.
func (w *wire) disguise(in *http.Request, header http.Header) {
	switch {
	case in.URL.Host == w.registry:
		for i, challenge := range header.Values("WWW-Authenticate") {
			header["Www-Authenticate"][i] = realms.ReplaceAllStringFunc(challenge, func(realm string) string {
				return realm[:len(`realm="`)] + w.disguised(strings.Trim(realm[len("realm="):], `"`)) + `"`
			})
		}
	case in.URL.Hostname() == ownAddress && header.Get("Location") != "":
		header.Set("Location", w.disguised(header.Get("Location")))
	}
}

// disguised is the URL with ownAddress, if it is one at another port of the registry's
// address.
func (w *wire) disguised(address string) string {
	u, err := url.Parse(address)
	own := url.URL{Host: w.registry}
	if err != nil || u.Host == w.registry || u.Hostname() != own.Hostname() || net.ParseIP(own.Hostname()) == nil {
		return address
	}
	u.Host = ownAddress + port(u)
	return u.String()
}

// really is the host that the URL is about.
func (w *wire) really(u *url.URL) string {
	if u.Hostname() != ownAddress {
		return u.Host
	}
	return withoutPort(w.registry) + port(u)
}

// readdressed is the request to where it really goes.
func (w *wire) readdressed(in *http.Request) *http.Request {
	host := w.really(in.URL)
	if host == in.URL.Host {
		return in
	}
	out := in.Clone(in.Context())
	out.URL.Host, out.Host = host, host
	return out
}

// undisguised is text about such a token server as a user knows it.
func undisguised(text, registry string) string {
	return strings.ReplaceAll(text, ownAddress, withoutPort(registry))
}

// port is that of the URL with its colon, if it has one.
func port(u *url.URL) string {
	if u.Port() == "" {
		return ""
	}
	return ":" + u.Port()
}

func withoutPort(host string) string { return strings.TrimSuffix(host, port(&url.URL{Host: host})) }
