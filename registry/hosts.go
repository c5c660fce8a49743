package registry

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
)

// HostOptions say how registries are reached where the system's certificates and
// HTTPS do not do. The zero value changes nothing.
type HostOptions struct {
	// CAs are PEM files with certificates to trust besides the system's, for
	// every registry.
	CAs []string
	// Insecure are hosts whose certificates are not looked at, and with which
	// plain HTTP is spoken if HTTPS is not.
	Insecure []string
	// CertDirs are folders with a folder for each host, as Docker, Podman and
	// containerd have them; the first one that has one for the host counts, and
	// if none has, the first one with containerd's _default. Default: none.
	CertDirs []string
}

// Hosts is a transport for registries of which each may have certificates of its own.
// It sends nothing over plain HTTP but to hosts that are insecure, and to loopback.
type Hosts struct {
	options  HostOptions
	cas      *x509.CertPool
	fallback *hostTransport // for hosts without settings of their own

	mu    sync.Mutex
	known map[string]*hostTransport

	downgrades downgrades
}

// hostTransport is how one host is reached.
type hostTransport struct {
	*http.Transport
	insecure bool
}

// PlainHTTPError is a request that would have gone over plain HTTP to a host that is
// not insecure.
type PlainHTTPError struct{ Host string }

func (e *PlainHTTPError) Error() string { return "plain HTTP to " + e.Host + " is not allowed" }

// NewHosts reads the CAs. One that cannot be read, or holds no certificate, is an
// error that names it.
func NewHosts(opt HostOptions) (*Hosts, error) {
	h := &Hosts{options: opt, known: map[string]*hostTransport{}, downgrades: downgrades{tried: map[string]*firstTry{}}}
	if len(opt.CAs) > 0 {
		h.cas = systemRoots()
		if err := addCAs(h.cas, opt.CAs); err != nil {
			return nil, err
		}
	}
	h.fallback = &hostTransport{Transport: h.transport(&certs{})}
	return h, nil
}

// transport has the certificates, besides the CAs for all.
func (h *Hosts) transport(c *certs) *http.Transport {
	t := newTransport(defaultLimits())
	t.TLSClientConfig = &tls.Config{RootCAs: h.cas, Certificates: c.pairs, InsecureSkipVerify: c.insecure} //nolint:gosec // for hosts that the user calls insecure
	if c.roots != nil {
		t.TLSClientConfig.RootCAs = c.roots
	}
	return t
}

// host is how a registry is reached: as is said about it, or else about all.
func (h *Hosts) host(registry string) (*hostTransport, error) {
	t, err := h.own(registry)
	if t != nil || err != nil {
		return t, err
	}
	return h.once(defaultDir+" "+registry, func() (*hostTransport, error) {
		c, err := h.readCerts(registry, defaultDir)
		if err != nil || c == nil {
			return h.fallback, err
		}
		return &hostTransport{Transport: h.transport(c), insecure: c.plain}, nil
	})
}

// own is how the host is reached if something is said about it, and else nil.
func (h *Hosts) own(host string) (*hostTransport, error) {
	return h.once(host, func() (*hostTransport, error) {
		c, err := h.readCerts(host, hostDirs(host)...)
		insecure := slices.ContainsFunc(aliases(host), func(alias string) bool { return slices.Contains(h.options.Insecure, alias) })
		if c == nil && err == nil && insecure {
			if c, err = h.readCerts(host, defaultDir); c == nil {
				c = &certs{}
			}
		}
		if c == nil || err != nil {
			return nil, err
		}
		c.insecure = c.insecure || insecure
		return &hostTransport{Transport: h.transport(c), insecure: insecure || c.plain}, nil
	})
}

// once does not find out twice what was found out.
func (h *Hosts) once(key string, find func() (*hostTransport, error)) (*hostTransport, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t, known := h.known[key]
	if known {
		return t, nil
	}
	t, err := find()
	if err == nil {
		h.known[key] = t
	}
	return t, err
}

// Check reads what there is for the host, of which a push would learn late. What is
// wrong with a file is an error that names it, and what is wrong with a variable that
// names a proxy a *ProxyError.
func (h *Hosts) Check(host string) error {
	t, err := h.host(host)
	if err != nil {
		return err
	}
	if err := checkProxy("https", host); err != nil || !t.insecure {
		return err
	}
	return checkProxy("http", host)
}

// RoundTrip implements http.RoundTripper.
func (h *Hosts) RoundTrip(req *http.Request) (*http.Response, error) {
	return h.For(req.URL.Host).RoundTrip(req)
}

// For is the transport to talk to a registry with. Other hosts that it sends us to,
// such as that of its tokens, are reached as the registry is unless something is said
// about them.
func (h *Hosts) For(registry string) http.RoundTripper { return registryTransport{h, registry} }

type registryTransport struct {
	hosts    *Hosts
	registry string
}

func (t registryTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	to, err := t.hosts.own(req.URL.Host)
	if err == nil && to == nil {
		to, err = t.hosts.host(t.registry)
	}
	if err != nil {
		return nil, err
	}
	overTLS, plainAllowed := req.URL.Scheme == "https", to.insecure || loopback(req.URL.Hostname())
	switch {
	case overTLS && plainAllowed:
		return t.hosts.downgrades.httpsFirst(to.Transport, req)
	case overTLS:
		return t.hosts.downgrades.httpsOnly(to.Transport, req)
	case plainAllowed:
		return t.hosts.downgrades.plainHTTP(to.Transport, req)
	}
	return nil, &PlainHTTPError{req.URL.Host}
}

// reach is the repository as one of a registry that may speak plain HTTP, if it may,
// and the transport to it.
func (h *Hosts) reach(repo name.Repository) (name.Repository, http.RoundTripper, error) {
	t, err := h.host(repo.RegistryStr())
	if err != nil {
		return repo, nil, fmt.Errorf("reading certificates for %s: %w", repo.RegistryStr(), err)
	}
	if t.insecure {
		if repo, err = name.NewRepository(repo.Name(), name.Insecure); err != nil {
			return repo, nil, err
		}
	}
	return repo, h.For(repo.RegistryStr()), nil
}

// aliases are the names of a host.
func aliases(host string) []string {
	hub := []string{name.DefaultRegistry, "docker.io", "registry-1.docker.io"}
	if slices.Contains(hub, host) {
		return hub
	}
	return []string{host}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
