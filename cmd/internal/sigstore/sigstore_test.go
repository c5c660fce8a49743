package sigstore_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seatrial/seatrial/cmd/internal/sigstore"
)

// This key pair in testdata was made by cosign generate-key-pair, the other keys by openssl
// and ssh-keygen.
const (
	cosignKey = "testdata/cosign.key"
	cosignPub = "testdata/cosign.pub"
	password  = "sea-trial"
)

var statement = []byte(`{"_type":"https://in-toto.io/Statement/v1"}`)

func writePEM(t *testing.T, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestSign(t *testing.T) {
	plain := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	pkcs8 := must(x509.MarshalPKCS8PrivateKey(plain))(t)
	sec1 := must(x509.MarshalECPrivateKey(plain))(t)
	pub := writePEM(t, "PUBLIC KEY", must(x509.MarshalPKIXPublicKey(&plain.PublicKey))(t))
	for _, key := range []struct{ private, public, password string }{
		{cosignKey, cosignPub, password},
		{writePEM(t, "PRIVATE KEY", pkcs8), pub, ""},
		{writePEM(t, "EC PRIVATE KEY", sec1), pub, ""},
		{"testdata/ecparam.key", "testdata/ecparam.pub", ""}, // with "EC PARAMETERS" before it
	} {
		signer, err := sigstore.ReadSigner(key.private, key.password)
		if err != nil {
			t.Errorf("ReadSigner(%s): %v", key.private, err)
			continue
		}
		bundle := must(signer.Sign(t.Context(), statement))(t)
		got, err := must(sigstore.ReadVerifier(key.public))(t).Verify(bundle)
		if err != nil || !bytes.Equal(got, statement) {
			t.Errorf("Verify of what %s signed = %q, %v", key.private, got, err)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	signer := must(sigstore.ReadSigner(cosignKey, password))(t)
	bundle := must(signer.Sign(t.Context(), statement))(t)
	other := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	stranger := must(sigstore.ReadVerifier(writePEM(t, "PUBLIC KEY", must(x509.MarshalPKIXPublicKey(&other.PublicKey))(t))))(t)
	if _, err := stranger.Verify(bundle); err == nil {
		t.Error("another key verifies the bundle")
	}
	owner := must(sigstore.ReadVerifier(cosignPub))(t)
	for _, forged := range [][]byte{
		bytes.Replace(bundle, []byte(`"payload":"ey`), []byte(`"payload":"eyA`), 1),
		bytes.Replace(bundle, []byte("vnd.in-toto+json"), []byte("vnd.other+json"), 1),
		bytes.Replace(bundle, []byte(`"signatures":[`), []byte(`"signature":[`), 1),
		[]byte("{}"), []byte("no JSON"),
	} {
		if bytes.Equal(forged, bundle) {
			t.Fatal("the forged bundle is the bundle")
		}
		if _, err := owner.Verify(forged); err == nil {
			t.Errorf("Verify(%s) succeeded", forged)
		}
	}
}

func TestReadSignerRefuses(t *testing.T) {
	if _, err := sigstore.ReadSigner(cosignKey, "wrong"); !errors.Is(err, sigstore.ErrPassword) || strings.Contains(err.Error(), "wrong\"") {
		t.Errorf("with a wrong password: %v, want ErrPassword", err)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))(t)
	for path, want := range map[string]string{
		cosignPub: "it is a public key, not a private one",
		"doc.go":  "not in PEM",
		"missing": "no such file",
		writePEM(t, "PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(edwards))(t)): "it is an Ed25519 key, not an ECDSA one",
		writePEM(t, "PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(p384))(t)):    "it is on the curve P-384, not on P-256",
		"testdata/rsa.key":             "it is an RSA key, not an ECDSA one",
		"testdata/rsa-pkcs8.key":       "it is an RSA key, not an ECDSA one",
		"testdata/encrypted-sec1.key":  "it is encrypted by another tool than cosign",
		"testdata/encrypted-pkcs8.key": "it is encrypted by another tool than cosign",
		"testdata/openssh.key":         "it is in the format of OpenSSH",
	} {
		if _, err := sigstore.ReadSigner(path, password); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("ReadSigner(%s) = %v, want an error with the path and %q", path, err, want)
		}
	}
}
