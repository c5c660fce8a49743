package sigstore

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
)

// Signer signs with a private key.
type Signer struct {
	Verifier // by its public half
	key      *ecdsa.PrivateKey
}

// What is wrong with a private key that can be made good.
var (
	// ErrPassword is that it is encrypted, and the password is not its own.
	ErrPassword = errors.New("the password is wrong")
	// ErrEncrypted is that it was not cosign that has encrypted it.
	ErrEncrypted = errors.New("it is encrypted by another tool than cosign")
	// ErrOpenSSH is that ssh-keygen has made it, in a format of its own.
	ErrOpenSSH = errors.New("it is in the format of OpenSSH")
)

// ReadSigner reads a private key in PEM: ECDSA on P-256, as cosign generate-key-pair
// makes them, encrypted with the password, or not encrypted (PKCS #8 or SEC 1). The
// error for others matches one of those above where one says what is wrong.
func ReadSigner(path, password string) (*Signer, error) {
	block, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	key, err := parsePrivate(block, password)
	if err != nil {
		return nil, fmt.Errorf("reading private key %s: %w", path, err)
	}
	v, err := newVerifier(&key.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("reading private key %s: %w", path, err)
	}
	return &Signer{*v, key}, nil
}

func parsePrivate(block *pem.Block, password string) (*ecdsa.PrivateKey, error) {
	der := block.Bytes
	if block.Headers["DEK-Info"] != "" { // openssl's, before PKCS #8
		return nil, ErrEncrypted
	}
	switch block.Type {
	case "ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY":
		var err error
		if der, err = encrypted.Decrypt(block.Bytes, []byte(password)); err != nil {
			return nil, ErrPassword // the cause is no more than that
		}
	case "PRIVATE KEY":
	case "EC PRIVATE KEY":
		return x509.ParseECPrivateKey(der)
	case "RSA PRIVATE KEY":
		return nil, notECDSA(&rsa.PrivateKey{})
	case "ENCRYPTED PRIVATE KEY":
		return nil, ErrEncrypted
	case "OPENSSH PRIVATE KEY":
		return nil, ErrOpenSSH
	case "PUBLIC KEY":
		return nil, errors.New("it is a public key, not a private one")
	default:
		return nil, fmt.Errorf("it is a %q, not a private key", block.Type)
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, notECDSA(key)
	}
	return ec, nil
}

// notECDSA names the kind of a key.
func notECDSA(key any) error {
	kind := fmt.Sprintf("a %T", key)
	switch key.(type) {
	case *rsa.PrivateKey, *rsa.PublicKey:
		kind = "an RSA key"
	case ed25519.PrivateKey, ed25519.PublicKey:
		kind = "an Ed25519 key"
	}
	return fmt.Errorf("it is %s, not an ECDSA one", kind)
}

// Sign makes a bundle of a statement.
func (s *Signer) Sign(_ context.Context, statement []byte) ([]byte, error) {
	sum := sha256.Sum256(dsse.PAE(payloadType, statement))
	sig, err := s.key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	return json.Marshal(bundle{
		MediaType: MediaType, Material: material{PublicKey: &publicKey{s.hint}},
		Envelope: envelope{statement, payloadType, []signature{{sig}}},
	})
}

// Signed tells whether a bundle is the key's word for the statement.
func (s *Signer) Signed(_ context.Context, data, statement []byte) (bool, error) {
	got, err := s.Verify(data)
	return err == nil && bytes.Equal(got, statement), nil
}

// Verifier verifies what the owner of a key has signed.
type Verifier struct {
	key  *ecdsa.PublicKey
	hint string
}

// ReadVerifier reads a public key in PEM: ECDSA on P-256, as in cosign.pub.
func ReadVerifier(path string) (*Verifier, error) {
	block, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	if block.Type != "PUBLIC KEY" {
		return nil, fmt.Errorf("reading public key %s: it is a %q", path, block.Type)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading public key %s: %w", path, err)
	}
	ec, ok := key.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("reading public key %s: %w", path, notECDSA(key))
	}
	v, err := newVerifier(ec)
	if err != nil {
		return nil, fmt.Errorf("reading public key %s: %w", path, err)
	}
	return v, nil
}

// newVerifier takes keys for which SHA-256 is the hash to sign: with others, cosign
// would expect another one.
func newVerifier(key *ecdsa.PublicKey) (*Verifier, error) {
	if key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("it is on the curve %s, not on P-256", key.Curve.Params().Name)
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(der)
	return &Verifier{key, base64.StdEncoding.EncodeToString(sum[:])}, nil
}

// Verify gives the statement in a bundle that the key has signed.
func (v *Verifier) Verify(data []byte) ([]byte, error) {
	b, err := parse(data)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(dsse.PAE(payloadType, b.Envelope.Payload))
	for _, s := range b.Envelope.Signatures {
		if ecdsa.VerifyASN1(v.key, sum[:], s.Sig) {
			return b.Envelope.Payload, nil
		}
	}
	return nil, errors.New("verifying Sigstore bundle: it was not signed with this key")
}

func readPEM(path string) (*pem.Block, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading key: %w", err)
	}
	block, rest := pem.Decode(data)
	if block != nil && block.Type == "EC PARAMETERS" { // openssl ecparam -genkey writes them, and the key names its curve itself
		block, _ = pem.Decode(rest)
	}
	if block == nil {
		return nil, fmt.Errorf("reading key %s: it is not in PEM", path)
	}
	return block, nil
}
