package registry

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// certs are what a folder of certificates says about one host.
type certs struct {
	roots    *x509.CertPool // nil: nothing is said
	pairs    []tls.Certificate
	insecure bool // certificates are not looked at
	plain    bool // plain HTTP will do
}

// defaultDir is containerd's folder for hosts that have none of their own.
const defaultDir = "_default"

// readCerts reads the first folder that there is of those names; nil if there is none.
func (h *Hosts) readCerts(host string, names ...string) (*certs, error) {
	for _, root := range h.options.CertDirs {
		for _, dir := range names {
			entries, err := os.ReadDir(filepath.Join(root, dir))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			// A folder that others keep for themselves says nothing to us, but
			// whoever may look into it may read what it says about the host.
			if _, rootErr := os.ReadDir(root); errors.Is(rootErr, fs.ErrPermission) {
				continue
			}
			if err != nil {
				return nil, err
			}
			return h.readDir(host, filepath.Join(root, dir), entries)
		}
	}
	return nil, nil
}

// hostDirs are the names that the folder of a host may have. containerd writes
// "host_5000_" where a colon cannot be.
func hostDirs(host string) []string {
	var dirs []string
	for _, alias := range aliases(host) {
		if i := strings.LastIndexByte(alias, ':'); i > 0 {
			dirs = append(dirs, alias[:i]+"_"+alias[i+1:]+"_")
		}
		dirs = append(dirs, alias)
	}
	return dirs
}

// readDir reads hosts.toml, or else the files as Docker names them: *.crt are CAs, and
// *.cert client certificates, each with its *.key.
func (h *Hosts) readDir(host, dir string, entries []fs.DirEntry) (*certs, error) {
	has := func(name string) bool {
		return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == name })
	}
	if has(hostsFile) {
		return h.readHostsFile(host, filepath.Join(dir, hostsFile))
	}
	var cas []string
	var pairs [][2]string
	for _, e := range entries {
		path, ext := filepath.Join(dir, e.Name()), filepath.Ext(e.Name())
		stem := strings.TrimSuffix(e.Name(), ext)
		switch {
		case ext == ".crt":
			cas = append(cas, path)
		case ext == ".cert" && has(stem+".key"):
			pairs = append(pairs, [2]string{path, filepath.Join(dir, stem+".key")})
		case ext == ".cert":
			return nil, fmt.Errorf("%s: its key, %s.key, is not beside it", path, stem)
		case ext == ".key" && !has(stem+".cert"):
			return nil, fmt.Errorf("%s: its certificate, %s.cert, is not beside it", path, stem)
		}
	}
	return h.newCerts(cas, pairs)
}

// newCerts reads the files.
func (h *Hosts) newCerts(cas []string, pairs [][2]string) (*certs, error) {
	c := &certs{}
	if len(cas) > 0 {
		c.roots = systemRoots()
		if err := addCAs(c.roots, append(slices.Clone(h.options.CAs), cas...)); err != nil {
			return nil, err
		}
	}
	for _, pair := range pairs {
		cert, err := tls.LoadX509KeyPair(pair[0], pair[1])
		var file *fs.PathError
		if errors.As(err, &file) {
			return nil, err
		}
		if err != nil {
			return nil, fmt.Errorf("%s does not go with %s: %w", pair[0], pair[1], err)
		}
		c.pairs = append(c.pairs, cert)
	}
	return c, nil
}

// systemRoots are those of the system, if it has any.
func systemRoots() *x509.CertPool {
	pool, err := x509.SystemCertPool()
	if err != nil {
		return x509.NewCertPool()
	}
	return pool
}

func addCAs(pool *x509.CertPool, files []string) error {
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if !pool.AppendCertsFromPEM(content) {
			return fmt.Errorf("%s: there is no PEM certificate in it", file)
		}
	}
	return nil
}
