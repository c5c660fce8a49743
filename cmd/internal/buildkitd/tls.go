package buildkitd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

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

// resolve fills in what Dir and the address's host stand for.
func (t TLS) resolve(host string) (TLS, error) {
	if t.ServerName == "" {
		t.ServerName = host
	}
	t, err := t.resolveDir()
	if err == nil && (t.Cert == "") != (t.Key == "") {
		err = errors.New("a client certificate needs its key, and a key its certificate")
	}
	return t, err
}

// config reads the files of a resolved TLS, so that a wrong one is reported by
// its name and before anything is dialled.
func (t TLS) config() (*tls.Config, error) {
	config := &tls.Config{ServerName: t.ServerName, NextProtos: []string{"h2"}}
	if t.CACert != "" {
		pem, err := os.ReadFile(t.CACert)
		if err != nil {
			return nil, fmt.Errorf("reading CA certificate: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("reading CA certificate %s: no certificate in it", t.CACert)
		}
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("reading client certificate %s and key %s: %w", t.Cert, t.Key, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// clientOptions says the same to BuildKit's client, which takes file names.
func (t TLS) clientOptions() []client.ClientOpt {
	opts := []client.ClientOpt{client.WithServerConfigSystem(t.ServerName)}
	if t.CACert != "" {
		opts = []client.ClientOpt{client.WithServerConfig(t.ServerName, t.CACert)}
	}
	if t.Cert != "" {
		opts = append(opts, client.WithCredentials(t.Cert, t.Key))
	}
	return opts
}

// verdict asks the server why it hung up. In TLS 1.3 a client learns after its
// handshake that its certificate was refused, and if it has written by then, as
// gRPC has, it sees a broken pipe instead of the reason.
func verdict(ctx context.Context, addr string, config *tls.Config) error {
	ctx, cancel := context.WithTimeout(ctx, verdictLimit)
	defer cancel()
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(verdictLimit)); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	return err
}

const verdictLimit = time.Second

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
