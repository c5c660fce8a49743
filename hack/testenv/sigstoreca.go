package testenv

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"os"
	"time"

	prototrustroot "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
)

// authority is a self-signed certificate and one below it.
type authority struct {
	root, leaf *x509.Certificate
	key        *ecdsa.PrivateKey // the leaf's
}

func newAuthority(name string, usage x509.ExtKeyUsage) (authority, error) {
	rootKey, err := newKey()
	if err != nil {
		return authority{}, err
	}
	a := authority{}
	if a.key, err = newKey(); err != nil {
		return a, err
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: name + " root", Organization: []string{"test"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
	}
	if a.root, err = createCertificate(template, template, &rootKey.PublicKey, rootKey); err != nil {
		return a, err
	}
	template = &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: name, Organization: []string{"test"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}
	if usage == x509.ExtKeyUsageTimeStamping {
		// RFC 3161 wants it to be critical.
		value, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
		if err != nil {
			return a, err
		}
		template.ExtKeyUsage, template.KeyUsage = nil, x509.KeyUsageDigitalSignature
		template.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: value}}
	} else {
		template.IsCA, template.KeyUsage = true, x509.KeyUsageCertSign
	}
	a.leaf, err = createCertificate(template, a.root, &a.key.PublicKey, rootKey)
	return a, err
}

func (s *Sigstore) writeTrustedRoot() error {
	id, err := keyID(&s.logKey.PublicKey)
	if err != nil {
		return err
	}
	start := time.Now().Add(-time.Hour)
	logs := map[string]*root.TransparencyLog{hex.EncodeToString(id): {
		BaseURL: s.URL, ID: id, ValidityPeriodStart: start, HashFunc: crypto.SHA256, PublicKey: &s.logKey.PublicKey, SignatureHashFunc: crypto.SHA256,
	}}
	for _, log := range s.logsV2 {
		logs[hex.EncodeToString(log.id)] = log.trusted(start)
	}
	ctID, err := keyID(&s.ctKey.PublicKey)
	if err != nil {
		return err
	}
	trusted, err := root.NewTrustedRoot(root.TrustedRootMediaType01,
		[]root.CertificateAuthority{&root.FulcioCertificateAuthority{
			Root: s.ca.root, Intermediates: []*x509.Certificate{s.ca.leaf}, ValidityPeriodStart: start, URI: s.URL,
		}},
		map[string]*root.TransparencyLog{hex.EncodeToString(ctID): {
			BaseURL: s.URL, ID: ctID, ValidityPeriodStart: start, HashFunc: crypto.SHA256, PublicKey: &s.ctKey.PublicKey, SignatureHashFunc: crypto.SHA256,
		}},
		[]root.TimestampingAuthority{&root.SigstoreTimestampingAuthority{
			Root: s.tsa.root, Leaf: s.tsa.leaf, ValidityPeriodStart: start, URI: s.URL,
		}},
		logs)
	if err != nil {
		return err
	}
	dt, err := trusted.MarshalJSON()
	if err != nil {
		return err
	}
	return os.WriteFile(s.TrustedRoot, dt, 0o644)
}

func (s *Sigstore) writeSigningConfig() error {
	at := func(url string, version uint32) root.Service {
		return root.Service{URL: url, MajorAPIVersion: version, ValidityPeriodStart: time.Now().Add(-time.Hour), Operator: "test"}
	}
	one := root.ServiceConfiguration{Selector: prototrustroot.ServiceSelector_ANY}
	config, err := root.NewSigningConfig(root.SigningConfigMediaType02, []root.Service{at(s.URL, 1)}, nil,
		[]root.Service{at(s.URL+"/nowhere", 1), at(s.RekorV2, 2)}, one, []root.Service{at(s.TSA, 1)}, one)
	if err != nil {
		return err
	}
	dt, err := config.MarshalJSON()
	if err != nil {
		return err
	}
	return os.WriteFile(s.SigningConfig, dt, 0o644)
}

func keyID(key *ecdsa.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	sum := sha256.Sum256(der)
	return sum[:], err
}

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func serial() *big.Int { return big.NewInt(time.Now().UnixNano()) }

func createCertificate(template, parent *x509.Certificate, key *ecdsa.PublicKey, signer *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func sign(key *ecdsa.PrivateKey, text []byte) ([]byte, error) {
	sum := sha256.Sum256(text)
	return key.Sign(rand.Reader, sum[:], crypto.SHA256)
}
