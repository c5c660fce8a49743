package sigstore

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// credential is a key that is used for one run, and the certificate that says whose
// it is.
type credential struct {
	key    *ecdsa.PrivateKey
	leaf   *x509.Certificate
	issuer *x509.Certificate // who has signed the leaf; nil if Fulcio does not tell
}

type certificateRequest struct {
	PublicKeyRequest struct {
		PublicKey struct {
			Algorithm string `json:"algorithm"`
			Content   string `json:"content"`
		} `json:"publicKey"`
		ProofOfPossession []byte `json:"proofOfPossession"`
	} `json:"publicKeyRequest"`
}

type certificateAnswer struct {
	Embedded certificateChain `json:"signedCertificateEmbeddedSct"`
	Detached certificateChain `json:"signedCertificateDetachedSct"`
}

type certificateChain struct {
	Chain struct {
		Certificates []string `json:"certificates"` // PEM, the leaf first
	} `json:"chain"`
}

// certify makes a key and has Fulcio certify it for the token's identity.
func certify(ctx context.Context, fulcio, token string) (*credential, error) {
	subject, err := subjectOf(token)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	var req certificateRequest
	req.PublicKeyRequest.PublicKey.Algorithm = "ECDSA"
	req.PublicKeyRequest.PublicKey.Content = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	sum := sha256.Sum256([]byte(subject))
	if req.PublicKeyRequest.ProofOfPossession, err = key.Sign(rand.Reader, sum[:], crypto.SHA256); err != nil {
		return nil, err
	}
	body, err := json.Marshal(req)
	if err != nil {
		return nil, err
	}
	answer, err := call(ctx, http.MethodPost, strings.TrimSuffix(fulcio, "/")+"/api/v2/signingCert", "application/json", body,
		http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		return nil, fmt.Errorf("asking Fulcio for a certificate: %w", err)
	}
	c := &credential{key: key}
	if c.leaf, c.issuer, err = parseChain(answer); err != nil {
		return nil, fmt.Errorf("asking Fulcio for a certificate: %w", err)
	}
	if !key.PublicKey.Equal(c.leaf.PublicKey) {
		return nil, errors.New("asking Fulcio for a certificate: it is for another key")
	}
	return c, nil
}

func parseChain(answer []byte) (leaf, issuer *x509.Certificate, err error) {
	var got certificateAnswer
	if err := json.Unmarshal(answer, &got); err != nil {
		return nil, nil, err
	}
	list := append(got.Embedded.Chain.Certificates, got.Detached.Chain.Certificates...)
	var certs []*x509.Certificate
	for _, text := range list[:min(len(list), 2)] {
		block, _ := pem.Decode([]byte(text))
		if block == nil {
			return nil, nil, errors.New("it is not in PEM")
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, nil, err
		}
		certs = append(certs, cert)
	}
	switch len(certs) {
	case 0:
		return nil, nil, errors.New("there is none in the answer")
	case 1:
		return certs[0], nil, nil
	}
	return certs[0], certs[1], nil
}
