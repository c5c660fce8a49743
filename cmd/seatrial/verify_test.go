package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seatrial/seatrial/cmd/internal/sigstore"
	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// failing is a statement that tests failed on an image.
func failing(t *testing.T, about v1.Hash) []byte {
	t.Helper()
	data, err := statementOf(testResult{Result: resultFailed, FailedTests: []string{"load"}}, about)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// keyPair writes a private key and its public one.
func keyPair(t *testing.T) (private, public string) {
	t.Helper()
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte, err error) string {
		path := filepath.Join(dir, name)
		if err == nil {
			err = os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	private = write("private.pem", "PRIVATE KEY", der, err)
	der, err = x509.MarshalPKIXPublicKey(&key.PublicKey)
	return private, write("public.pem", "PUBLIC KEY", der, err)
}

// signedBy puts a statement beside an artifact, signed with a key.
func signedBy(t *testing.T, private string, repo name.Repository, a registry.Artifact, statement []byte) {
	t.Helper()
	signer, err := sigstore.ReadSigner(private, "")
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := signer.Sign(t.Context(), statement)
	if err == nil {
		_, err = registry.Refer(t.Context(), repo, a, registry.Referrer{Type: sigstore.MediaType, Data: bundle}, registry.Options{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// pushedAs pushes an artifact under a tag.
func pushedAs(t *testing.T, ref name.Reference, a registry.Artifact) v1.Hash {
	t.Helper()
	push, err := registry.NewPush([]name.Reference{ref}, registry.Options{})
	if err == nil {
		_, err = push.Commit(t.Context(), a)
	}
	if err != nil {
		t.Fatal(err)
	}
	digest, err := a.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

// TestVerifyContradictions has an image of which it is said that its tests passed, and that
// one failed. It depends on who says so whether that counts.
func TestVerifyContradictions(t *testing.T) {
	own, pub := keyPair(t)
	strangers, _ := keyPair(t)
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
	a, images := savedIndex(t)
	first, second := stating(t, images[0], images[0], resultPassed), stating(t, images[1], images[1], resultPassed)
	failed := registry.Statement{Image: images[1], PredicateType: testResultType, JSON: failing(t, images[1])}
	passed, both := []registry.Statement{first, second}, []registry.Statement{first, second, failed}
	odd, err := statementOf(testResult{Result: resultPassed, PassedTests: []string{"unit"}, FailedTests: []string{"load"}}, images[1])
	if err != nil {
		t.Fatal(err)
	}
	atOdds := []registry.Statement{first, {Image: images[1], PredicateType: testResultType, JSON: odd}}
	for i, tc := range []struct {
		name     string
		inIndex  []registry.Statement
		passedBy string // the key that has signed that the tests passed
		failedBy string // and that one failed
		key      string
		says     []string // nil: it is proven
	}{
		{"nobody says that one failed", passed, own, "", pub, nil},
		{"somebody else says that one failed", passed, own, strangers, pub, nil},
		{"no signature is asked for", passed, own, strangers, "", nil},
		{"the key says both", passed, own, own, pub, []string{"is the key's word that it passed its tests, and that load failed"}},
		{"the key says that one failed", passed, strangers, own, pub, []string{"it is the key's word that load failed", "no statement takes another one back"}},
		{"the index says both", both, "", "", "", []string{"tested  unit (linux/arm64)  passed", "tested  load (linux/arm64)  failed", "says that load failed"}},
		{"the index says both, signed", both, own, "", pub, []string{"tested  unit (linux/arm64)  passed", "tested  load (linux/arm64)  failed", "says that load failed"}},
		{"a statement is at odds with itself", atOdds, "", "", "", []string{"tested  unit (linux/arm64)  passed", "says that load failed"}},
		{"the index says that one failed", []registry.Statement{first, failed}, "", "", "", []string{"tested  load (linux/arm64)  failed"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ref, err := name.ParseReference(fmt.Sprintf("%s/acme/app-%d:1", reg.Host, i))
			if err != nil {
				t.Fatal(err)
			}
			attested, err := registry.Attest(t.Context(), a, tc.inIndex, registry.AttestOptions{})
			if err != nil {
				t.Fatal(err)
			}
			digest := pushedAs(t, ref, attested)
			if tc.passedBy != "" {
				signedBy(t, tc.passedBy, ref.Context(), attested, stating(t, digest, digest, resultPassed).JSON)
			}
			if tc.failedBy != "" {
				signedBy(t, tc.failedBy, ref.Context(), attested, failing(t, digest))
			}
			args := []string{"verify", ref.Name()}
			if tc.key != "" {
				args = append(args, "--key", tc.key)
			}
			c := start(t, nil, args...)
			if tc.says == nil {
				c.exits(0)
				return
			}
			c.exits(4)
			c.says(tc.says...)
			if out := c.out.String(); out != "" {
				t.Errorf("standard output = %q, want nothing", out)
			}
		})
	}
}

// TestVerifyImageContradicts is about an image that is no index, all of whose statements
// are beside it.
func TestVerifyImageContradicts(t *testing.T) {
	own, pub := keyPair(t)
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
	ref, err := name.ParseReference(reg.Host + "/acme/app:1")
	if err != nil {
		t.Fatal(err)
	}
	img := testenv.RandomImage(t, 1, 64)
	digest := pushedAs(t, ref, img)
	signedBy(t, own, ref.Context(), img, stating(t, digest, digest, resultPassed).JSON)
	start(t, nil, "verify", ref.Name(), "--key", pub).exits(0)
	signedBy(t, own, ref.Context(), img, failing(t, digest))
	c := start(t, nil, "verify", ref.Name(), "--key", pub)
	c.exits(4)
	c.says("load failed")
}

// TestVerifyImageOfIndexContradicts has it signed that a test failed on one image of an
// index that is signed to have passed. It is said beside the image, not beside the index.
func TestVerifyImageOfIndexContradicts(t *testing.T) {
	own, pub := keyPair(t)
	strangers, _ := keyPair(t)
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
	ref, err := name.ParseReference(reg.Host + "/acme/app:1")
	if err != nil {
		t.Fatal(err)
	}
	a, images := savedIndex(t)
	attested, err := registry.Attest(t.Context(), a, []registry.Statement{
		stating(t, images[0], images[0], resultPassed), stating(t, images[1], images[1], resultPassed),
	}, registry.AttestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	digest := pushedAs(t, ref, attested)
	signedBy(t, own, ref.Context(), attested, stating(t, digest, digest, resultPassed).JSON)
	image, err := a.(v1.ImageIndex).Image(images[1])
	if err != nil {
		t.Fatal(err)
	}
	signedBy(t, own, ref.Context(), image, stating(t, images[1], images[1], resultPassed).JSON)
	signedBy(t, strangers, ref.Context(), image, failing(t, images[1]))
	start(t, nil, "verify", ref.Name(), "--key", pub).exits(0)
	signedBy(t, own, ref.Context(), image, failing(t, images[1]))
	start(t, nil, "verify", ref.Name()).exits(0) // no signature is asked for
	c := start(t, nil, "verify", ref.Name(), "--key", pub)
	c.exits(4)
	c.says(fmt.Sprintf("(linux/arm64): of %s it is the key's word that it passed its tests, and that load failed", images[1]), "no statement takes another one back")
}

// A registry that verify waits for is named meanwhile.
func TestVerifySaysWhatItWaitsFor(t *testing.T) {
	reg := faulty(t, func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	})
	c := start(t, nil, "verify", reg.Host+"/acme/app:1")
	c.until("seatrial: " + reg.Host + " asks to come back in 60s\n")
	c.signal(syscall.SIGINT)
	c.exits(130)
}

// TestVerifyShowsNamesOnALine has whoever may push write a name that looks like lines of verify.
func TestVerifyShowsNamesOnALine(t *testing.T) {
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
	a, images := savedIndex(t)
	var statements []registry.Statement
	for _, image := range images {
		data, err := statementOf(testResult{Result: resultFailed, FailedTests: []string{"x\nsigned  by the key"}, PassedTests: []string{"y"}}, image)
		if err != nil {
			t.Fatal(err)
		}
		statements = append(statements, registry.Statement{Image: image, PredicateType: testResultType, JSON: data})
	}
	attested, err := registry.Attest(t.Context(), a, statements, registry.AttestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(reg.Host + "/acme/app:1")
	if err != nil {
		t.Fatal(err)
	}
	pushedAs(t, ref, attested)
	c := start(t, nil, "verify", ref.Name())
	c.exits(4)
	c.says("tested  x signed by the key (linux/amd64)  failed", "says that x signed by the key failed")
	if strings.Contains(c.stderr(), "\nsigned  by the key") {
		t.Errorf("a name looks like lines of verify:\n%s", c.stderr())
	}
}
