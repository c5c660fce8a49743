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

// FactsOf reads them, as far as they can be read: whoever may push to a registry can add
// to a bundle there that somebody else has signed.
func FactsOf(data []byte) (f Facts) {
	b, err := parse(data)
	if err != nil {
		return f
	}
	if len(b.Material.Log) > 0 {
		f.LogIndex = &b.Material.Log[0].Index
	}
	if b.Material.Certificate == nil {
		return f
	}
	if leaf, err := x509.ParseCertificate(b.Material.Certificate.RawBytes); err == nil {
		who, _ := certificate.SummarizeCertificate(leaf) // the zero Summary, then
		f.Identity = who.SubjectAlternativeName
	}
	return f
}
