package credentials

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
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

	identity := &googleIdentity{}
	for host, want := range map[string]string{
		"europe-docker.pkg.dev": "a token", "gcr.io": "a token", "eu.gcr.io": "a token",
		"gcr.io.example.com": "", "notgcr.io": "", "ghcr.io": "",
	} {
		c, err := identity.Find(t.Context(), NewTarget(host, "acme/app"))
		got := ""
		if c != nil {
			got = c.Password
		}
		if err != nil || got != want {
			t.Errorf("Find(%s) = %q, %v, want %q", host, got, err, want)
		}
	}
}

// The metadata server of where we run, and then whoever gcloud is configured for.
func TestGoogleIdentities(t *testing.T) {
	serves := true
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Metadata-Flavor", "Google")
		if !serves || r.URL.Path != "/computeMetadata/v1/instance/service-accounts/default/token" || r.Header.Get("Metadata-Flavor") != "Google" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token":"of the machine","expires_in":3600,"token_type":"Bearer"}`)
	}))
	t.Cleanup(metadata.Close)
	bin := t.TempDir()
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(metadata.URL, "http://"))
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	t.Setenv("HOME", t.TempDir())
	t.Setenv("CLOUDSDK_CONFIG", "")
	t.Setenv("PATH", bin)
	target := NewTarget("europe-docker.pkg.dev", "acme/images/app")
	find := func() string {
		c, err := (&googleIdentity{}).Find(t.Context(), target)
		if err != nil {
			return "error: " + err.Error()
		}
		if c == nil {
			return "anonymous"
		}
		return c.Username + ":" + c.Password + " from " + c.Source
	}
	check := func(want string) {
		t.Helper()
		if got := find(); got != want {
			t.Errorf("found %q, want %q", got, want)
		}
	}

	check("_token:of the machine from " + googleDefault)
	serves = false
	check("anonymous")
	write(t, filepath.Join(bin, "gcloud"), `#!/bin/sh
[ "$1 $2" = "config config-helper" ] || exit 1
echo '{"credential":{"access_token":"of gcloud","token_expiry":"2999-01-01T00:00:00Z"}}'
`)
	check("_token:of gcloud from " + googleGcloud)
	write(t, filepath.Join(bin, "gcloud"), "#!/bin/sh\necho You do not currently have an active account selected >&2\nexit 1\n")
	check("anonymous")
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/account.json")
	if got := find(); !strings.HasPrefix(got, "error: asking Google for credentials for europe-docker.pkg.dev: with "+googleFile+": ") || !strings.Contains(got, "/nowhere/account.json") {
		t.Errorf("found %q, want an error that names the file", got)
	}
}
