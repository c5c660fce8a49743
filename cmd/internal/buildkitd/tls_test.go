package buildkitd

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seatrial/seatrial/hack/testenv"
)

// An authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	ca := &authority{key: newKey(t)}
	ca.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	return ca
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (ca *authority) writeSelf(t *testing.T, path string) {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, ca.cert, ca.cert, &ca.key.PublicKey, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, path, "CERTIFICATE", der)
}

// issue writes a certificate for a name (and for no address) and its key.
func (ca *authority) issue(t *testing.T, name, certPath, keyPath string) {
	t.Helper()
	key := newKey(t)
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: ca.cert.NotBefore, NotAfter: ca.cert.NotAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, ca.cert, &key.PublicKey, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, certPath, "CERTIFICATE", der)
	if der, err = x509.MarshalECPrivateKey(key); err != nil {
		t.Fatal(err)
	}
	writePEM(t, keyPath, "EC PRIVATE KEY", der)
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestMutualTLS(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	ca, stranger := newAuthority(t), newAuthority(t)
	for _, names := range [][3]string{{"ca.pem", "cert.pem", "key.pem"}, {"k8s/ca.crt", "k8s/tls.crt", "k8s/tls.key"}} {
		if err := os.MkdirAll(filepath.Dir(path(names[0])), 0o700); err != nil {
			t.Fatal(err)
		}
		ca.writeSelf(t, path(names[0]))
		ca.issue(t, "client", path(names[1]), path(names[2]))
	}
	stranger.writeSelf(t, path("other-ca.pem"))
	stranger.issue(t, "client", path("other-cert.pem"), path("other-key.pem"))
	ca.issue(t, "builder.example.com", path("server.pem"), path("server-key.pem"))
	addr := testenv.FreeAddr(t)
	testenv.StartDaemon(t, testenv.DaemonOptions{Flags: []string{
		"--addr=tcp://" + addr, "--tlscacert=" + path("ca.pem"), "--tlscert=" + path("server.pem"), "--tlskey=" + path("server-key.pem"),
	}})
	const name = "builder.example.com"
	for _, test := range []struct {
		about      string
		tls        TLS
		want, hint string
	}{
		{"directory", TLS{Dir: dir, ServerName: name}, "", ""},
		{"Kubernetes secret", TLS{Dir: path("k8s"), ServerName: name}, "", ""},
		{"files", TLS{CACert: path("ca.pem"), Cert: path("cert.pem"), Key: path("key.pem"), ServerName: name}, "", ""},
		{"wrong CA", TLS{CACert: path("other-ca.pem"), Cert: path("cert.pem"), Key: path("key.pem"), ServerName: name}, "unknown authority", "--tlscacert"},
		{"system's CAs", TLS{Cert: path("cert.pem"), Key: path("key.pem"), ServerName: name}, "unknown authority", "--tlscacert"},
		{"no client certificate", TLS{CACert: path("ca.pem"), ServerName: name}, "certificate required", "client certificate"},
		{"stranger's client certificate", TLS{CACert: path("ca.pem"), Cert: path("other-cert.pem"), Key: path("other-key.pem"), ServerName: name}, "tls:", "client certificate"},
		{"wrong name", TLS{Dir: dir}, "x509:", "--tlsservername"},
		{"no TLS", TLS{}, "gave up", "--tlsdir"},
	} {
		opt := newPlace(t).options()
		opt.Addr, opt.TLS = "tcp://"+addr, test.tls
		if test.about == "no TLS" {
			opt.Timeout = 300 * time.Millisecond
		}
		b, err := Connect(t.Context(), opt)
		if test.want == "" {
			if err != nil {
				t.Errorf("%s: Connect() = %v", test.about, err)
				continue
			}
			checkDial(t, b)
			b.Close()
			continue
		}
		e := wantError(t, opt)
		if e.Usage || !strings.Contains(e.Error(), test.want) || !strings.Contains(e.Hint, test.hint) {
			t.Errorf("%s: Connect() = %q, hint %q; want %q and a hint with %q", test.about, e, e.Hint, test.want, test.hint)
		}
	}
}

func TestTLSToADaemonWithoutIt(t *testing.T) {
	dir := t.TempDir()
	newAuthority(t).writeSelf(t, filepath.Join(dir, "ca.pem"))
	addr := testenv.FreeAddr(t)
	testenv.StartDaemon(t, testenv.DaemonOptions{Flags: []string{"--addr=tcp://" + addr}})
	opt := newPlace(t).options()
	opt.Addr, opt.TLS = "tcp://"+addr, TLS{CACert: filepath.Join(dir, "ca.pem")}
	if e := wantError(t, opt); !strings.Contains(e.Hint, "does not speak TLS") {
		t.Errorf("error = %q, hint %q", e, e.Hint)
	}
	opt.TLS = TLS{}
	b, err := Connect(t.Context(), opt)
	if err != nil {
		t.Fatalf("Connect() without TLS to loopback = %v", err)
	}
	checkDial(t, b)
	b.Close()
}

func TestUnusableTLSFiles(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	ca := newAuthority(t)
	ca.writeSelf(t, path("ca.pem"))
	ca.issue(t, "one", path("cert.pem"), path("one.key"))
	ca.issue(t, "two", path("two.pem"), path("two.key"))
	if err := os.WriteFile(path("empty.pem"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		tls  TLS
		want string
	}{
		{TLS{Dir: path("absent")}, "neither ca.pem nor ca.crt"},
		{TLS{Dir: dir}, "neither key.pem nor tls.key"},
		{TLS{Dir: dir, Key: path("one.key")}, "--tlsdir excludes"},
		{TLS{CACert: path("absent.pem")}, "absent.pem"},
		{TLS{CACert: path("empty.pem")}, "no certificate in it"},
		{TLS{CACert: path("ca.pem"), Cert: path("cert.pem")}, "needs its key"},
		{TLS{CACert: path("ca.pem"), Cert: path("cert.pem"), Key: path("two.key")}, "private key does not match"},
	} {
		opt := newPlace(t).options()
		opt.Addr, opt.TLS = "tcp://builder.example.com:1234", test.tls
		if e := wantError(t, opt); !e.Usage || !strings.Contains(e.Error(), test.want) {
			t.Errorf("Connect(%+v) = %q, usage %t; want %q", test.tls, e, e.Usage, test.want)
		}
	}
}
