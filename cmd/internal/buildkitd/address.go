package buildkitd

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// schemes are those that the client or one of the connection helpers knows.
func schemes() []string {
	return []string{
		"unix", "tcp", "docker-container", "podman-container", "nerdctl-container",
		"kube-pod", "ssh", "npipe",
	}
}

// parseAddr checks what can be checked without dialling.
func parseAddr(addr string) (*url.URL, error) {
	u, err := url.Parse(addr)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err // the outer error repeats the address, userinfo included
		}
		return nil, usage("", fmt.Errorf("parsing builder address: %w", err), knownSchemes())
	}
	name := redact(u)
	switch {
	case u.Scheme == "" && filepath.IsAbs(addr):
		return nil, usage(name, errors.New("the address has no scheme"), "did you mean unix://"+addr+"?")
	case !slices.Contains(schemes(), u.Scheme):
		return nil, usage(name, fmt.Errorf("unknown scheme %q", u.Scheme), knownSchemes())
	case u.Scheme == "unix" && (u.Host != "" || !filepath.IsAbs(u.Path)):
		return nil, usage(name, errors.New("the socket's path is not absolute"), "write unix:///PATH, with three slashes")
	case u.Scheme == "tcp" && (u.Hostname() == "" || u.Port() == ""):
		return nil, usage(name, errors.New("host or port is missing"), "write tcp://HOST:PORT; buildkitd's customary port is 1234")
	case u.Scheme == "ssh" && u.User != nil && hasPassword(u.User):
		return nil, usage(name, errors.New("ssh takes no password in the address"), "use a key or an agent")
	}
	return u, nil
}

func usage(addr string, err error, hint string) error {
	return &Error{Addr: addr, Err: err, Hint: hint, Usage: true}
}

func knownSchemes() string {
	return "known are " + strings.Join(schemes(), "://, ") + "://, and the words auto and private"
}

func hasPassword(u *url.Userinfo) bool {
	_, ok := u.Password()
	return ok
}

// redact gives the address as it may be shown: a query may hold a token.
func redact(u *url.URL) string {
	shown := *u
	if u.RawQuery != "" && u.Scheme != "kube-pod" {
		shown.RawQuery = "xxxxx"
	}
	return shown.Redacted()
}

// isLoopback does not resolve names: whoever answers the DNS query would
// decide whether the connection may go out in the clear.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// unixPath returns the path of a unix:// address, or "".
func unixPath(addr string) string {
	path, ok := strings.CutPrefix(addr, "unix://")
	if !ok {
		return ""
	}
	return path
}
