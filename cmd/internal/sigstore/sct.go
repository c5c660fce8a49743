package sigstore

import (
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"

	ct "github.com/google/certificate-transparency-go"
	"github.com/google/certificate-transparency-go/tls"
	ctx509 "github.com/google/certificate-transparency-go/x509"
	"github.com/sigstore/sigstore-go/pkg/root"
)

// verifySCT makes sure that one of the logs of certificates says in the first of a chain
// that it has that (a signed certificate timestamp, RFC 6962). sigstore-go does the same,
// but with Rekor's client.
func verifySCT(logs map[string]*root.TransparencyLog, certs []*x509.Certificate) error {
	var chain []*ctx509.Certificate
	for _, cert := range certs {
		parsed, err := ctx509.ParseCertificate(cert.Raw)
		if ctx509.IsFatal(err) {
			return err
		}
		chain = append(chain, parsed)
	}
	if len(chain[0].SCTList.SCTList) == 0 {
		return errors.New("no log of certificates says that it has the certificate: it has no SCT")
	}
	var errs []error
	for _, one := range chain[0].SCTList.SCTList {
		var sct ct.SignedCertificateTimestamp
		if _, err := tls.Unmarshal(one.Val, &sct); err != nil {
			errs = append(errs, fmt.Errorf("reading its SCT: %w", err))
			continue
		}
		err := promisedBy(logs[hex.EncodeToString(sct.LogID.KeyID[:])], sct, chain)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return fmt.Errorf("no log of certificates that is trusted says that it has the certificate: %w", errors.Join(errs...))
}

func promisedBy(log *root.TransparencyLog, sct ct.SignedCertificateTimestamp, chain []*ctx509.Certificate) error {
	if log == nil {
		return errors.New("its SCT is an unknown log's")
	}
	at := ct.TimestampToTime(sct.Timestamp)
	if at.Before(log.ValidityPeriodStart) || !log.ValidityPeriodEnd.IsZero() && at.After(log.ValidityPeriodEnd) {
		return errors.New("its SCT is of a time when the log was not in use")
	}
	key, err := ct.NewSignatureVerifier(log.PublicKey)
	if err != nil {
		return err
	}
	entry, err := ct.MerkleTreeLeafForEmbeddedSCT(chain, sct.Timestamp)
	if err != nil {
		return err
	}
	if err := key.VerifySCTSignature(sct, ct.LogEntry{Leaf: *entry}); err != nil {
		return fmt.Errorf("its SCT is not its log's: %w", err)
	}
	return nil
}
