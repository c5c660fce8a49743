package sigstore

import (
	"crypto/x509"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
)

// Facts are what a bundle says of itself. None of it is verified.
type Facts struct {
	Identity string // that its certificate names; "" if it was signed with a key
	LogIndex *int64 // of its entry in a log; nil if it is in none
}

// FactsOf reads them.
func FactsOf(data []byte) (Facts, error) {
	var f Facts
	b, err := parse(data)
	if err != nil {
		return f, err
	}
	if len(b.Material.Log) > 0 {
		f.LogIndex = &b.Material.Log[0].Index
	}
	if b.Material.Certificate == nil {
		return f, nil
	}
	leaf, err := x509.ParseCertificate(b.Material.Certificate.RawBytes)
	if err != nil {
		return f, err
	}
	who, err := certificate.SummarizeCertificate(leaf)
	f.Identity = who.SubjectAlternativeName
	return f, err
}
