package buildkitd

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/moby/buildkit/client"
)

// TLS names the files for a tcp:// builder, with buildctl's meanings.
type TLS struct {
	// Dir holds ca.pem, cert.pem and key.pem, or ca.crt, tls.crt and tls.key.
	// It excludes CACert, Cert and Key.
	Dir string
	// CACert verifies the daemon. Default: the system's certificates.
	CACert string
	// Cert and Key identify us. Default: no client certificate.
	Cert, Key string
	// ServerName is the name in the daemon's certificate. Default: the
	// address's host.
	ServerName string
}

func (t TLS) enabled() bool { return t != TLS{} }

// clientOptions reads every file once, so that a wrong one is reported by its
// name and before anything is dialled.
func (t TLS) clientOptions(host string) ([]client.ClientOpt, error) {
	t, err := t.resolveDir()
	if err != nil {
		return nil, err
	}
	if (t.Cert == "") != (t.Key == "") {
		return nil, errors.New("a client certificate needs its key, and a key its certificate")
	}
	name := t.ServerName
	if name == "" {
		name = host
	}
	opts := []client.ClientOpt{client.WithServerConfigSystem(name)}
	if t.CACert != "" {
		pem, err := os.ReadFile(t.CACert)
		if err != nil {
			return nil, fmt.Errorf("reading CA certificate: %w", err)
		}
		if !x509.NewCertPool().AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("reading CA certificate %s: no certificate in it", t.CACert)
		}
		opts = []client.ClientOpt{client.WithServerConfig(name, t.CACert)}
	}
	if t.Cert != "" {
		if _, err := tls.LoadX509KeyPair(t.Cert, t.Key); err != nil {
			return nil, fmt.Errorf("reading client certificate %s and key %s: %w", t.Cert, t.Key, err)
		}
		opts = append(opts, client.WithCredentials(t.Cert, t.Key))
	}
	return opts, nil
}

func (t TLS) resolveDir() (TLS, error) {
	if t.Dir == "" {
		return t, nil
	}
	if t.CACert != "" || t.Cert != "" || t.Key != "" {
		return t, errors.New("--tlsdir excludes --tlscacert, --tlscert and --tlskey")
	}
	for _, file := range []struct {
		path  *string
		names [2]string
	}{
		{&t.CACert, [2]string{"ca.pem", "ca.crt"}},
		{&t.Cert, [2]string{"cert.pem", "tls.crt"}},
		{&t.Key, [2]string{"key.pem", "tls.key"}},
	} {
		path, err := oneOf(t.Dir, file.names)
		if err != nil {
			return t, err
		}
		*file.path = path
	}
	return t, nil
}

func oneOf(dir string, names [2]string) (string, error) {
	for _, name := range names {
		path := filepath.Join(dir, name)
		_, err := os.Stat(path)
		if err == nil {
			return path, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("reading TLS directory: %w", err)
		}
	}
	return "", fmt.Errorf("reading TLS directory %s: neither %s nor %s is there", dir, names[0], names[1])
}
