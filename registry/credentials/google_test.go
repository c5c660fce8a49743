package credentials

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
)

// A service account's key, which is exchanged for a token.
func TestGoogle(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"access_token":"a token","token_type":"Bearer","expires_in":3600}`))
	}))
	t.Cleanup(server.Close)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	account, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "ci@acme.example", "token_uri": server.URL,
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})),
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "account.json")
	write(t, file, string(account))
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file)

	for host, want := range map[string]string{
		"europe-docker.pkg.dev": "a token", "gcr.io": "a token", "eu.gcr.io": "a token",
		"gcr.io.example.com": "", "notgcr.io": "", "ghcr.io": "",
	} {
		c, err := googleIdentity{}.Find(t.Context(), NewTarget(host, "acme/app"))
		got := ""
		if c != nil {
			got = c.Password
		}
		if err != nil || got != want {
			t.Errorf("Find(%s) = %q, %v, want %q", host, got, err, want)
		}
	}
}
