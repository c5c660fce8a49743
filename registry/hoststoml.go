package registry

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// hostsFile is containerd's. Of what it says, what concerns the certificates of the
// host itself is used; where else images may be pulled from is the builder's business,
// and a push goes where its name says.
const hostsFile = "hosts.toml"

type hostsDocument struct {
	hostsEntry
	Server string                `toml:"server"`
	Hosts  map[string]hostsEntry `toml:"host"`
}

type hostsEntry struct {
	CA         any  `toml:"ca"`     // a file, or several
	Client     any  `toml:"client"` // a file with certificate and key, several, or pairs of files
	SkipVerify bool `toml:"skip_verify"`
}

func (h *Hosts) readHostsFile(host, file string) (*certs, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var doc hostsDocument
	if err := toml.Unmarshal(content, &doc); err != nil {
		var at *toml.DecodeError
		if errors.As(err, &at) {
			line, _ := at.Position()
			file = fmt.Sprintf("%s:%d", file, line)
		}
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	entry, plain := doc.of(host)
	dir := filepath.Dir(file)
	cas, err := paths(dir, entry.CA)
	if err != nil {
		return nil, fmt.Errorf("%s: ca: %w", file, err)
	}
	pairs, err := keyPairs(dir, entry.Client)
	if err != nil {
		return nil, fmt.Errorf("%s: client: %w", file, err)
	}
	c, err := h.newCerts(cas, pairs)
	if err != nil {
		return nil, err
	}
	c.insecure, c.plain = entry.SkipVerify, plain
	return c, nil
}

// of is what is said about the host: in its own table, or at the top if that is about
// no other server.
func (d hostsDocument) of(host string) (entry hostsEntry, plain bool) {
	names := aliases(host)
	for _, address := range slices.Backward(slices.Sorted(maps.Keys(d.Hosts))) { // https before http
		if at, scheme := serverOf(address); slices.Contains(names, at) {
			return d.Hosts[address], scheme == "http"
		}
	}
	at, scheme := serverOf(d.Server)
	if at == "" || slices.Contains(names, at) {
		return d.hostsEntry, scheme == "http"
	}
	return hostsEntry{}, false
}

func serverOf(address string) (host, scheme string) {
	if !strings.Contains(address, "://") {
		address = "https://" + address
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", ""
	}
	return u.Host, u.Scheme
}

// paths takes a path or a list of them.
func paths(dir string, value any) ([]string, error) {
	switch v := value.(type) {
	case nil:
		return nil, nil
	case string:
		if !filepath.IsAbs(v) {
			v = filepath.Join(dir, v)
		}
		return []string{v}, nil
	case []any:
		var all []string
		for _, each := range v {
			path, ok := each.(string)
			if !ok {
				return nil, fmt.Errorf("a path is expected, not %v", each)
			}
			one, err := paths(dir, path)
			if err != nil {
				return nil, err
			}
			all = append(all, one...)
		}
		return all, nil
	}
	return nil, fmt.Errorf("a path or a list of paths is expected, not %v", value)
}

// keyPairs takes a path, a list of paths, or a list of pairs.
func keyPairs(dir string, value any) ([][2]string, error) {
	list, ok := value.([]any)
	if !ok && value != nil {
		list = []any{value}
	}
	var pairs [][2]string
	for _, v := range list {
		files, err := paths(dir, v)
		switch _, both := v.([]any); {
		case err != nil:
			return nil, err
		case both && len(files) != 2:
			return nil, fmt.Errorf("a certificate and its key are expected, not %v", v)
		case both && files[1] == dir: // ["file", ""], as containerd writes a file that has both
			pairs = append(pairs, [2]string{files[0], files[0]})
		case both:
			pairs = append(pairs, [2]string{files[0], files[1]})
		default:
			pairs = append(pairs, [2]string{files[0], files[0]})
		}
	}
	return pairs, nil
}
