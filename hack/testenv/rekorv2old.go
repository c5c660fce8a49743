package testenv

import (
	"crypto/sha256"
	"testing"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	tiles "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"google.golang.org/protobuf/encoding/protojson"
)

// EnterEnvelope enters a bundle's envelope into RekorV2 as logs did until Rekor 2.3, and
// gives the entry.
//
//nolint:staticcheck // nothing but bundles of then has the deprecated form
func (s *Sigstore) EnterEnvelope(t testing.TB, signed []byte) []byte {
	t.Helper()
	var b protobundle.Bundle
	if err := protojson.Unmarshal(signed, &b); err != nil {
		t.Fatal(err)
	}
	payload := sha256.Sum256(b.GetDsseEnvelope().GetPayload())
	entry, err := s.logsV2[0].add(&tiles.Entry{Kind: "dsse", ApiVersion: "0.0.2", Spec: &tiles.Spec{Spec: &tiles.Spec_DsseV002{
		DsseV002: &tiles.DSSELogEntryV002{
			PayloadHash: &protocommon.HashOutput{Algorithm: protocommon.HashAlgorithm_SHA2_256, Digest: payload[:]},
			Signatures: []*tiles.Signature{{
				Content: b.GetDsseEnvelope().GetSignatures()[0].GetSig(),
				Verifier: &tiles.Verifier{
					KeyDetails: protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256,
					Verifier: &tiles.Verifier_X509Certificate{
						X509Certificate: b.GetVerificationMaterial().GetCertificate(),
					},
				},
			}},
		},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return entry
}
