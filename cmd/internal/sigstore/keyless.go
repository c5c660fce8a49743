package sigstore

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
)

// Keyless signs with a key that lasts for one run, and a certificate that says by
// whose identity it was made.
type Keyless struct {
	services Services
	identity Identity

	mu   sync.Mutex
	cred *credential
}

// NewKeyless asks nobody for anything yet.
func NewKeyless(services Services, identity Identity) *Keyless {
	return &Keyless{services: services, identity: identity}
}

// credential gets the certificate when it is first needed: one that was asked for
// before a build may have ended by its end.
func (k *Keyless) credential(ctx context.Context) (*credential, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cred != nil {
		return k.cred, nil
	}
	token, err := k.identity.token(ctx)
	if err != nil {
		return nil, err
	}
	k.cred, err = certify(ctx, k.services.Fulcio, token)
	return k.cred, err
}

// Sign makes a bundle of a statement, with the word of a timestamp authority or of a
// log, or of both, that the certificate was valid.
func (k *Keyless) Sign(ctx context.Context, statement []byte) ([]byte, error) {
	c, err := k.credential(ctx)
	if err != nil {
		return nil, err
	}
	b, err := k.sign(ctx, c, statement)
	for n := 1; n < attempts && takenAlready(err); n++ {
		// Another signature of the same makes another entry, and nobody has to be asked
		// for the one that is there.
		b, err = k.sign(ctx, c, statement)
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(b)
}

func (k *Keyless) sign(ctx context.Context, c *credential, statement []byte) (*bundle, error) {
	sum := sha256.Sum256(dsse.PAE(payloadType, statement))
	sig, err := c.key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	b := &bundle{
		MediaType: MediaType, Material: material{Certificate: &rawCertificate{c.leaf.Raw}},
		Envelope: envelope{statement, payloadType, []signature{{sig}}},
	}
	if k.services.TSA != "" {
		at, err := stamp(ctx, k.services.TSA, sig)
		if err != nil {
			return nil, err
		}
		b.Material.Timestamps = &timestamps{[]signedTimestamp{{at}}}
	}
	if k.services.Rekor != "" {
		entry, err := k.services.logged(ctx, b.Envelope, c.leaf)
		if err != nil {
			return nil, err
		}
		b.Material.Log = []logEntry{*entry}
	}
	return b, nil
}

// Signed tells whether a bundle is the same identity's word for the statement, by a
// certificate of the same Fulcio.
func (k *Keyless) Signed(ctx context.Context, data, statement []byte) (bool, error) {
	b, err := parse(data)
	if err != nil || b.Material.Certificate == nil || !bytes.Equal(b.Envelope.Payload, statement) {
		return false, nil //nolint:nilerr // it is somebody else's
	}
	leaf, err := b.leaf()
	if err != nil {
		return false, nil //nolint:nilerr // likewise
	}
	c, err := k.credential(ctx)
	if err != nil {
		return false, err
	}
	return c.issuer != nil && leaf.CheckSignatureFrom(c.issuer) == nil && sameIdentity(leaf, c.leaf), nil
}

func sameIdentity(a, b *x509.Certificate) bool {
	x, errX := certificate.SummarizeCertificate(a)
	y, errY := certificate.SummarizeCertificate(b)
	return errX == nil && errY == nil && x.SubjectAlternativeName == y.SubjectAlternativeName && x.Issuer == y.Issuer
}

// leaf is the certificate of a bundle, which has signed its envelope.
func (b *bundle) leaf() (*x509.Certificate, error) {
	leaf, err := x509.ParseCertificate(b.Material.Certificate.RawBytes)
	if err != nil {
		return nil, fmt.Errorf("reading certificate: %w", err)
	}
	key, ok := leaf.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("reading certificate: its key is a %T, not an ECDSA key", leaf.PublicKey)
	}
	sum := sha256.Sum256(dsse.PAE(payloadType, b.Envelope.Payload))
	if len(b.Envelope.Signatures) != 1 || !ecdsa.VerifyASN1(key, sum[:], b.Envelope.Signatures[0].Sig) {
		return nil, fmt.Errorf("it was not signed with the key of its certificate")
	}
	return leaf, nil
}
