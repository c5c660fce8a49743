package testenv

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
)

// Sigstore is a Fulcio, a timestamp authority and a Rekor of a test's own, which give
// real certificates, timestamps and log entries; the tokens are not signed.
type Sigstore struct {
	// URL is Fulcio's and Rekor's; TSA that of the timestamp authority.
	URL, TSA string
	// TokenURL is where GitHub's jobs get a token from, for RequestToken.
	TokenURL, RequestToken string
	// TrustedRoot is a file that says to trust all of them.
	TrustedRoot string
	// Issuer is who has vouched for Identity, that of the tokens.
	Issuer, Identity string

	ca, tsa authority
	logKey  *ecdsa.PrivateKey
}

// StartSigstore starts one for a test.
func StartSigstore(t testing.TB) *Sigstore {
	t.Helper()
	s := &Sigstore{
		RequestToken: "request-" + strings.Repeat("0", 8), Issuer: "https://token.example.com",
		Identity: "https://ci.example.com/acme/app/.ci/release.yml@refs/heads/main",
	}
	var err error
	if s.ca, err = newAuthority("intermediate", x509.ExtKeyUsageCodeSigning); err != nil {
		t.Fatal(err)
	}
	if s.tsa, err = newAuthority("timestamps", x509.ExtKeyUsageTimeStamping); err != nil {
		t.Fatal(err)
	}
	if s.logKey, err = newKey(); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /token", s.serve(s.token))
	mux.HandleFunc("POST /api/v2/signingCert", s.serve(s.certify))
	mux.HandleFunc("POST /api/v1/timestamp", s.serve(s.stamp))
	mux.HandleFunc("POST /api/v1/log/entries", s.serve(s.enter))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.URL, s.TSA, s.TokenURL = server.URL, server.URL+"/api/v1/timestamp", server.URL+"/token?api-version=2"
	s.TrustedRoot = filepath.Join(t.TempDir(), "trusted_root.json")
	if err := s.writeTrustedRoot(); err != nil {
		t.Fatal(err)
	}
	return s
}

// serve answers what f gives, or its error.
func (s *Sigstore) serve(f func(*http.Request) ([]byte, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		dt, err := f(req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(dt)
	}
}

// IDToken is a token of the identity.
func (s *Sigstore) IDToken() string { return s.idToken("sigstore") }

func (s *Sigstore) idToken(audience string) string {
	claims, _ := json.Marshal(map[string]string{"iss": s.Issuer, "sub": s.Identity, "aud": audience})
	return encode([]byte(`{"alg":"none"}`)) + "." + encode(claims) + ".unsigned"
}

func (s *Sigstore) token(req *http.Request) ([]byte, error) {
	if req.Header.Get("Authorization") != "Bearer "+s.RequestToken || !req.URL.Query().Has("api-version") {
		return nil, errors.New("no request for a token")
	}
	return json.Marshal(map[string]string{"value": s.idToken(req.URL.Query().Get("audience"))})
}

// certify wants the token and a proof that the key is its owner's, as Fulcio does.
func (s *Sigstore) certify(req *http.Request) ([]byte, error) {
	if req.Header.Get("Authorization") != "Bearer "+s.IDToken() {
		return nil, errors.New("the token is for nobody here")
	}
	var body struct {
		PublicKeyRequest struct {
			PublicKey         struct{ Algorithm, Content string }
			ProofOfPossession []byte
		}
	}
	if err := json.NewDecoder(req.Body).Decode(&body); err != nil {
		return nil, err
	}
	block, _ := pem.Decode([]byte(body.PublicKeyRequest.PublicKey.Content))
	if block == nil {
		return nil, errors.New("the key is not in PEM")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	sum := sha256.Sum256([]byte(s.Identity))
	if !ok || body.PublicKeyRequest.PublicKey.Algorithm != "ECDSA" || !ecdsa.VerifyASN1(key, sum[:], body.PublicKeyRequest.ProofOfPossession) {
		return nil, errors.New("the proof of possession is none")
	}
	leaf, err := s.leaf(key)
	if err != nil {
		return nil, err
	}
	var chain struct {
		Embedded struct {
			Chain struct {
				Certificates []string `json:"certificates"`
			} `json:"chain"`
		} `json:"signedCertificateEmbeddedSct"`
	}
	for _, cert := range []*x509.Certificate{leaf, s.ca.leaf, s.ca.root} {
		chain.Embedded.Chain.Certificates = append(chain.Embedded.Chain.Certificates, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})))
	}
	return json.Marshal(chain)
}

func (s *Sigstore) leaf(key *ecdsa.PublicKey) (*x509.Certificate, error) {
	identity, err := url.Parse(s.Identity)
	if err != nil {
		return nil, err
	}
	issuer, err := asn1.MarshalWithParams(s.Issuer, "utf8")
	if err != nil {
		return nil, err
	}
	return createCertificate(&x509.Certificate{
		SerialNumber: serial(), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(10 * time.Minute), URIs: []*url.URL{identity},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 8}, Value: issuer}},
	}, s.ca.leaf, key, s.ca.key)
}

func (s *Sigstore) stamp(req *http.Request) ([]byte, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	asked, err := timestamp.ParseRequest(body)
	if err != nil {
		return nil, err
	}
	return (&timestamp.Timestamp{
		HashAlgorithm: asked.HashAlgorithm, HashedMessage: asked.HashedMessage, Nonce: asked.Nonce, Time: time.Now(),
		Policy: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 2}, AddTSACertificate: asked.Certificates,
	}).CreateResponseWithOpts(s.tsa.leaf, s.tsa.key, crypto.SHA256)
}

// enter puts a DSSE envelope into a log that has no other entry.
func (s *Sigstore) enter(req *http.Request) ([]byte, error) {
	var asked struct {
		Spec struct {
			ProposedContent struct {
				Envelope  string
				Verifiers [][]byte
			}
		}
	}
	if err := json.NewDecoder(req.Body).Decode(&asked); err != nil {
		return nil, err
	}
	var envelope struct {
		Payload    []byte
		Signatures []struct{ Sig string }
	}
	proposed := asked.Spec.ProposedContent
	if err := json.Unmarshal([]byte(proposed.Envelope), &envelope); err != nil || len(envelope.Signatures) != 1 || len(proposed.Verifiers) != 1 {
		return nil, fmt.Errorf("not one envelope with a signature and a verifier: %w", err)
	}
	hash := func(b []byte) map[string]string {
		sum := sha256.Sum256(b)
		return map[string]string{"algorithm": "sha256", "value": hex.EncodeToString(sum[:])}
	}
	// Maps make JSON with the keys in order, which is the canonical one.
	body, err := json.Marshal(map[string]any{"apiVersion": "0.0.1", "kind": "dsse", "spec": map[string]any{
		"envelopeHash": hash([]byte(proposed.Envelope)), "payloadHash": hash(envelope.Payload),
		"signatures": []map[string]any{{"signature": envelope.Signatures[0].Sig, "verifier": proposed.Verifiers[0]}},
	}})
	if err != nil {
		return nil, err
	}
	id, err := keyID(&s.logKey.PublicKey)
	if err != nil {
		return nil, err
	}
	entry := map[string]any{"body": body, "integratedTime": time.Now().Unix(), "logID": hex.EncodeToString(id), "logIndex": 0}
	signed, err := json.Marshal(entry)
	if err != nil {
		return nil, err
	}
	promise, err := sign(s.logKey, signed)
	if err != nil {
		return nil, err
	}
	proof, err := s.proof(body, id)
	entry["verification"] = map[string]any{"signedEntryTimestamp": promise, "inclusionProof": proof}
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{strings.Repeat("0", 64): entry})
}

// proof is for the only leaf of a tree, whose hash is the root's.
func (s *Sigstore) proof(body, id []byte) (map[string]any, error) {
	leaf := sha256.Sum256(append([]byte{0}, body...))
	note := fmt.Sprintf("log.example.com - 1\n1\n%s\n", base64.StdEncoding.EncodeToString(leaf[:]))
	sig, err := sign(s.logKey, []byte(note))
	if err != nil {
		return nil, err
	}
	line := "\n\u2014 log.example.com " + base64.StdEncoding.EncodeToString(append(id[:4:4], sig...)) + "\n"
	return map[string]any{"checkpoint": note + line, "hashes": []string{}, "logIndex": 0, "rootHash": hex.EncodeToString(leaf[:]), "treeSize": 1}, nil
}
