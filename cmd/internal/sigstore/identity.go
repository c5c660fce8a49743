package sigstore

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/root"
)

// IdentityVerifier verifies what an identity has signed keylessly.
type IdentityVerifier struct {
	identity, issuer string
	trusted          root.TrustedMaterial
}

// NewIdentityVerifier takes the identity and who has vouched for it as they are in
// certificates: an address or a workflow's URL, and an issuer of tokens. The trusted
// root says whose certificates, timestamps and logs to believe: a file, or "" for that
// of the public services, which is fetched.
func NewIdentityVerifier(identity, issuer, trustedRoot string) (*IdentityVerifier, error) {
	v := &IdentityVerifier{identity: identity, issuer: issuer}
	var trusted *root.TrustedRoot
	var err error
	if trustedRoot == "" {
		if trusted, err = root.FetchTrustedRoot(); err != nil {
			return nil, fmt.Errorf("fetching Sigstore's trusted root: %w", err)
		}
	} else if trusted, err = root.NewTrustedRootFromPath(trustedRoot); err != nil {
		return nil, fmt.Errorf("reading trusted root %s: %w", trustedRoot, err)
	}
	v.trusted = trusted
	return v, nil
}

// Verify gives the statement in a bundle that the identity has signed, at a time when
// its certificate was valid, as a timestamp authority or a log says. The certificate is
// in a log of certificates if the trusted root names any, and where the bundle says that
// the signature is in a log that the trusted root names, it is.
func (v *IdentityVerifier) Verify(data []byte) ([]byte, error) {
	payload, err := v.verify(data)
	if err != nil {
		return nil, fmt.Errorf("verifying Sigstore bundle: %w", err)
	}
	return payload, nil
}

func (v *IdentityVerifier) verify(data []byte) ([]byte, error) {
	b, err := parse(data)
	if err != nil {
		return nil, err
	}
	if b.Material.Certificate == nil {
		return nil, errors.New("it has no certificate")
	}
	leaf, err := b.leaf()
	if err != nil {
		return nil, err
	}
	times, err := v.times(b, leaf)
	if err != nil {
		return nil, err
	}
	for _, at := range times {
		if err := v.chain(leaf, at); err != nil {
			return nil, err
		}
	}
	who, err := certificate.SummarizeCertificate(leaf)
	if err != nil {
		return nil, err
	}
	if who.SubjectAlternativeName != v.identity || who.Issuer != v.issuer {
		return nil, fmt.Errorf("it was signed by %s (%s)", who.SubjectAlternativeName, who.Issuer)
	}
	return b.Envelope.Payload, nil
}

// times are those at which a trusted authority or log has seen the signature: at least
// one.
func (v *IdentityVerifier) times(b *bundle, leaf *x509.Certificate) ([]time.Time, error) {
	var times []time.Time
	var errs []error
	if t := b.Material.Timestamps; t != nil {
		for _, stamp := range t.RFC3161 {
			at, err := v.stamped(stamp.SignedTimestamp, b.Envelope.Signatures[0].Sig)
			if err == nil {
				times = append(times, at)
			}
			errs = append(errs, err)
		}
	}
	for _, entry := range b.Material.Log {
		at, err := entry.verify(v.trusted.RekorLogs(), b.Envelope, leaf)
		switch {
		case errors.Is(err, errUnknownLog):
		case err != nil:
			return nil, fmt.Errorf("verifying its log entry: %w", err)
		case at.IsZero():
			err = errors.New("the log that it is in does not say so")
		default:
			times = append(times, at)
		}
		errs = append(errs, err)
	}
	if len(times) == 0 {
		return nil, fmt.Errorf("nobody who is trusted says when it was signed: %w", errors.Join(errs...))
	}
	return times, nil
}

func (v *IdentityVerifier) stamped(stamp, sig []byte) (time.Time, error) {
	err := errors.New("no timestamp authority is trusted")
	for _, tsa := range v.trusted.TimestampingAuthorities() {
		at, verr := tsa.Verify(stamp, sig)
		if verr == nil {
			return at.Time, nil
		}
		err = verr
	}
	return time.Time{}, err
}

// chain makes sure that a trusted authority has certified the leaf, and that a log of
// certificates has it.
func (v *IdentityVerifier) chain(leaf *x509.Certificate, at time.Time) error {
	err := errors.New("no certificate authority is trusted")
	for _, ca := range v.trusted.FulcioCertificateAuthorities() {
		var chains [][]*x509.Certificate
		if chains, err = ca.Verify(leaf, at); err == nil {
			return v.listed(chains)
		}
	}
	return err
}

// listed makes sure that a log of certificates has the first of a chain. A private
// Fulcio may do without: then the trusted root names no such log.
func (v *IdentityVerifier) listed(chains [][]*x509.Certificate) error {
	logs := v.trusted.CTLogs()
	if len(logs) == 0 {
		return nil
	}
	err := errors.New("its certificate has no issuer")
	for _, chain := range chains {
		if err = verifySCT(logs, chain); err == nil {
			return nil
		}
	}
	return err
}
