package sigstore

import (
	"encoding/json"
	"fmt"
)

// MediaType is that of a bundle, and the artifactType under which registries list it.
const MediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// Annotations are what cosign writes at the manifest of a bundle with a statement.
func Annotations(predicateType string) map[string]string {
	return map[string]string{
		"dev.sigstore.bundle.content":       "dsse-envelope",
		"dev.sigstore.bundle.predicateType": predicateType,
	}
}

// payloadType is what is signed: an in-toto statement.
const payloadType = "application/vnd.in-toto+json"

// bundle is protobuf's JSON form of dev.sigstore.bundle.v1.Bundle, as far as one
// signature of a statement needs it.
type bundle struct {
	MediaType string   `json:"mediaType"`
	Material  material `json:"verificationMaterial"`
	Envelope  envelope `json:"dsseEnvelope"`
}

type material struct {
	PublicKey   *publicKey      `json:"publicKey,omitempty"`
	Certificate *rawCertificate `json:"certificate,omitempty"`
	Log         []logEntry      `json:"tlogEntries,omitempty"`
	Timestamps  *timestamps     `json:"timestampVerificationData,omitempty"`
}

type rawCertificate struct {
	RawBytes []byte `json:"rawBytes"`
}

type timestamps struct {
	RFC3161 []signedTimestamp `json:"rfc3161Timestamps"`
}

type signedTimestamp struct {
	SignedTimestamp []byte `json:"signedTimestamp"`
}

// publicKey says which key it was, for those who have several.
type publicKey struct {
	Hint string `json:"hint"`
}

type envelope struct {
	Payload     []byte      `json:"payload"`
	PayloadType string      `json:"payloadType"`
	Signatures  []signature `json:"signatures"`
}

type signature struct {
	Sig []byte `json:"sig"`
}

func parse(data []byte) (*bundle, error) {
	var b bundle
	if err := json.Unmarshal(data, &b); err != nil {
		return nil, fmt.Errorf("reading Sigstore bundle: %w", err)
	}
	if b.Envelope.PayloadType != payloadType {
		return nil, fmt.Errorf("reading Sigstore bundle: it signs %q, not an in-toto statement", b.Envelope.PayloadType)
	}
	return &b, nil
}
