package testenv

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"errors"
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

// Sigstore is a Fulcio with a log of certificates, a timestamp authority and a Rekor of
// a test's own, which give real certificates, timestamps and log entries; the tokens are
// not signed.
type Sigstore struct {
	// URL is Fulcio's and Rekor's; TSA that of the timestamp authority.
	URL, TSA string
	// RekorV2 and RekorV2Edwards are logs of Rekor's second version, which sign with an
	// ECDSA and an Ed25519 key.
	RekorV2, RekorV2Edwards string
	// Unlogged is the same Fulcio, but what it gives is in no log of certificates.
	Unlogged string
	// TokenURL is where GitHub's jobs get a token from, for RequestToken.
	TokenURL, RequestToken string
	// TrustedRoot is a file that says to trust all of them.
	TrustedRoot string
	// SigningConfig is a file that says to use them: Rekor's second version, although it
	// names a log of the first, which is not there.
	SigningConfig string
	// Issuer is who has vouched for Identity, that of the tokens.
	Issuer, Identity string

	ca, tsa       authority
	logKey, ctKey *ecdsa.PrivateKey
	logsV2        []*rekorV2 // RekorV2, RekorV2Edwards
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
	if s.ctKey, err = newKey(); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /token", serve(http.StatusOK, s.token))
	mux.HandleFunc("POST /api/v2/signingCert", serve(http.StatusOK, s.certify))
	mux.HandleFunc("POST /unlogged/api/v2/signingCert", serve(http.StatusOK, s.certifyUnlogged))
	mux.HandleFunc("POST /api/v1/timestamp", serve(http.StatusCreated, s.stamp))
	mux.HandleFunc("POST /api/v1/log/entries", serve(http.StatusCreated, s.enter))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.URL, s.TSA, s.TokenURL = server.URL, server.URL+"/api/v1/timestamp", server.URL+"/token?api-version=2"
	s.Unlogged, s.RekorV2, s.RekorV2Edwards = server.URL+"/unlogged", server.URL+"/ecdsa", server.URL+"/ed25519"
	if err := s.startLogs(mux); err != nil {
		t.Fatal(err)
	}
	s.TrustedRoot = filepath.Join(t.TempDir(), "trusted_root.json")
	if err := s.writeTrustedRoot(); err != nil {
		t.Fatal(err)
	}
	s.SigningConfig = filepath.Join(t.TempDir(), "signing_config.json")
	if err := s.writeSigningConfig(); err != nil {
		t.Fatal(err)
	}
	return s
}

// startLogs starts those of Rekor's second version.
func (s *Sigstore) startLogs(mux *http.ServeMux) error {
	edwards, err := newEdwardsKey()
	if err != nil {
		return err
	}
	ec, err := newKey()
	if err != nil {
		return err
	}
	for _, l := range []struct {
		path string
		key  crypto.Signer
	}{{"/ecdsa", ec}, {"/ed25519", edwards}} {
		log, err := newRekorV2(s.URL+l.path, l.key)
		if err != nil {
			return err
		}
		mux.HandleFunc("POST "+l.path+"/api/v2/log/entries", serve(http.StatusCreated, log.enter))
		s.logsV2 = append(s.logsV2, log)
	}
	return nil
}

// serve answers what f gives, or its error.
func serve(status int, f func(*http.Request) ([]byte, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		dt, err := f(req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(status)
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

// certify has the certificate entered into the log of certificates, too.
func (s *Sigstore) certify(req *http.Request) ([]byte, error) {
	return s.certifyAs(req, func(template *x509.Certificate, key *ecdsa.PublicKey) (*x509.Certificate, error) {
		cert, err := createCertificate(template, s.ca.leaf, key, s.ca.key)
		if err != nil {
			return nil, err
		}
		extension, err := promised(s.ctKey, cert, s.ca.leaf)
		if err != nil {
			return nil, err
		}
		template.ExtraExtensions = append(template.ExtraExtensions, extension)
		return createCertificate(template, s.ca.leaf, key, s.ca.key)
	})
}

func (s *Sigstore) certifyUnlogged(req *http.Request) ([]byte, error) {
	return s.certifyAs(req, func(template *x509.Certificate, key *ecdsa.PublicKey) (*x509.Certificate, error) {
		return createCertificate(template, s.ca.leaf, key, s.ca.key)
	})
}

// certifyAs wants the token and a proof that the key is its owner's, as Fulcio does.
func (s *Sigstore) certifyAs(req *http.Request, create func(*x509.Certificate, *ecdsa.PublicKey) (*x509.Certificate, error)) ([]byte, error) {
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
	template, err := s.leaf()
	if err != nil {
		return nil, err
	}
	leaf, err := create(template, key)
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

func (s *Sigstore) leaf() (*x509.Certificate, error) {
	identity, err := url.Parse(s.Identity)
	if err != nil {
		return nil, err
	}
	issuer, err := asn1.MarshalWithParams(s.Issuer, "utf8")
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber: serial(), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(10 * time.Minute), URIs: []*url.URL{identity},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 8}, Value: issuer}},
	}, nil
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
