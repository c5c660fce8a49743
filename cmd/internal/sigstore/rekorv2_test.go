package sigstore_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seatrial/seatrial/cmd/internal/sigstore"
	"github.com/seatrial/seatrial/hack/testenv"
)

// signV2 makes a bundle with an entry in a log of Rekor's second version, and gives its
// parts.
func signV2(t *testing.T, fake *testenv.Sigstore, log string) map[string]any {
	t.Helper()
	services := sigstore.Services{Fulcio: fake.URL, TSA: fake.TSA, Rekor: log, RekorVersion: 2}
	signed := must(sigstore.NewKeyless(services, sigstore.Identity{Token: fake.IDToken()}).Sign(t.Context(), statement))(t)
	var b map[string]any
	if err := json.Unmarshal(signed, &b); err != nil {
		t.Fatal(err)
	}
	return b
}

// materialOf is what a bundle has to verify it with, and its log entry.
func materialOf(b map[string]any) (material, entry map[string]any) {
	material, _ = b["verificationMaterial"].(map[string]any)
	entries, _ := material["tlogEntries"].([]any)
	entry, _ = entries[0].(map[string]any)
	return material, entry
}

func TestRekorV2(t *testing.T) {
	fake := testenv.StartSigstore(t)
	verifier := must(sigstore.NewIdentityVerifier(fake.Identity, fake.Issuer, fake.TrustedRoot))(t)
	for _, log := range []string{fake.RekorV2, fake.RekorV2 + "/", fake.RekorV2Edwards} {
		for range 4 { // at places in the tree whose proofs differ in length
			b := signV2(t, fake, log)
			got, err := verifier.Verify(must(json.Marshal(b))(t))
			if err != nil || !bytes.Equal(got, statement) {
				t.Errorf("Verify of what is in %s = %q, %v", log, got, err)
			}
			if _, entry := materialOf(b); entry["integratedTime"] != nil || entry["inclusionPromise"] != nil {
				t.Errorf("the entry in %s has what the log has not said: %v", log, entry)
			}
		}
	}
}

// Logs of Rekor 2.0 to 2.2 had entries for envelopes, which nobody makes any more.
func TestRekorV2Envelope(t *testing.T) {
	fake := testenv.StartSigstore(t)
	verifier := must(sigstore.NewIdentityVerifier(fake.Identity, fake.Issuer, fake.TrustedRoot))(t)
	one, other := signV2(t, fake, fake.RekorV2), signV2(t, fake, fake.RekorV2)
	for _, b := range []map[string]any{one, other} {
		material, _ := materialOf(b)
		var entry any
		if err := json.Unmarshal(fake.EnterEnvelope(t, must(json.Marshal(b))(t)), &entry); err != nil {
			t.Fatal(err)
		}
		material["tlogEntries"] = []any{entry}
		if _, err := verifier.Verify(must(json.Marshal(b))(t)); err != nil {
			t.Errorf("Verify with an entry of the envelope: %v", err)
		}
	}
	material, _ := materialOf(one)
	others, _ := materialOf(other)
	material["tlogEntries"] = others["tlogEntries"]
	if _, err := verifier.Verify(must(json.Marshal(one))(t)); err == nil || !strings.Contains(err.Error(), "about another signature") {
		t.Errorf("Verify with another's entry = %v", err)
	}
}

func TestRekorV2Refuses(t *testing.T) {
	fake, strangers := testenv.StartSigstore(t), testenv.StartSigstore(t)
	verifier := must(sigstore.NewIdentityVerifier(fake.Identity, fake.Issuer, fake.TrustedRoot))(t)
	proofOf := func(b map[string]any) map[string]any {
		_, entry := materialOf(b)
		proof, _ := entry["inclusionProof"].(map[string]any)
		return proof
	}
	checkpoint := func(b map[string]any, change func(string) string) {
		head, _ := proofOf(b)["checkpoint"].(map[string]any)
		text, _ := head["envelope"].(string)
		head["envelope"] = change(text)
	}
	for name, tc := range map[string]struct {
		forge func(b, other map[string]any)
		want  string
	}{
		"no timestamp": {func(b, _ map[string]any) {
			material, _ := materialOf(b)
			delete(material, "timestampVerificationData")
		}, "nobody who is trusted says when it was signed"},
		"another's entry": {func(b, o map[string]any) {
			material, _ := materialOf(b)
			others, _ := materialOf(o)
			material["tlogEntries"] = others["tlogEntries"]
		}, "about another signature"},
		"another's body": {func(b, o map[string]any) {
			_, entry := materialOf(b)
			_, others := materialOf(o)
			entry["canonicalizedBody"] = others["canonicalizedBody"]
		}, "about another signature"},
		"another's proof": {func(b, o map[string]any) {
			_, entry := materialOf(b)
			_, others := materialOf(o)
			entry["inclusionProof"], entry["logIndex"] = others["inclusionProof"], others["logIndex"]
		}, "verifying inclusion"},
		"another place": {func(b, _ map[string]any) {
			_, entry := materialOf(b)
			entry["logIndex"] = "0"
		}, "verifying inclusion"},
		"another hash": {func(b, o map[string]any) { proofOf(b)["hashes"] = proofOf(o)["hashes"] }, "verifying inclusion"},
		"no hashes":    {func(b, _ map[string]any) { delete(proofOf(b), "hashes") }, "verifying inclusion"},
		"no proof": {func(b, _ map[string]any) {
			_, entry := materialOf(b)
			delete(entry, "inclusionProof")
		}, "no proof that it is in the log"},
		"another log's checkpoint": {func(b, _ map[string]any) {
			theirs := signV2(t, strangers, strangers.RekorV2)
			proofOf(b)["checkpoint"] = proofOf(theirs)["checkpoint"]
		}, "unverified checkpoint"},
		"another size in the checkpoint": {func(b, _ map[string]any) {
			checkpoint(b, func(text string) string { return strings.Replace(text, "127.0.0.1\n", "127.0.0.1\n1", 1) })
		}, "unverified checkpoint"},
		"a checkpoint of another origin": {func(b, _ map[string]any) {
			checkpoint(b, func(text string) string { return strings.ReplaceAll(text, "127.0.0.1", "localhost") })
		}, "unverified checkpoint"},
		"no signature of the checkpoint": {func(b, _ map[string]any) {
			checkpoint(b, func(text string) string { return text[:strings.Index(text, "\n\n")+2] })
		}, "unverified checkpoint"},
		"the other log's": {func(b, _ map[string]any) {
			_, entry := materialOf(b)
			_, edwards := materialOf(signV2(t, fake, fake.RekorV2Edwards))
			entry["logId"] = edwards["logId"]
		}, "unverified checkpoint"},
		"said to be of the first version": {func(b, _ map[string]any) {
			_, entry := materialOf(b)
			entry["kindVersion"] = map[string]any{"kind": "hashedrekord", "version": "0.0.1"}
		}, "its log"},
		"said to be another entry": {func(b, _ map[string]any) {
			_, entry := materialOf(b)
			entry["kindVersion"] = map[string]any{"kind": "dsse", "version": "0.0.2"}
		}, "about another signature"},
	} {
		b := signV2(t, fake, fake.RekorV2)
		if _, err := verifier.Verify(must(json.Marshal(b))(t)); err != nil {
			t.Fatalf("%s: %v before it was forged", name, err)
		}
		tc.forge(b, signV2(t, fake, fake.RekorV2))
		if _, err := verifier.Verify(must(json.Marshal(b))(t)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: Verify = %v, want %q", name, err, tc.want)
		}
	}
}

// An answer that proves nothing of the signature is told before a tag moves.
func TestRekorV2Answers(t *testing.T) {
	fake := testenv.StartSigstore(t)
	_, others := materialOf(signV2(t, fake, fake.RekorV2))
	without := maps.Clone(others)
	delete(without, "inclusionProof")
	for want, answer := range map[string]string{
		"about another signature":       string(must(json.Marshal(others))(t)),
		"no proof with a checkpoint":    string(must(json.Marshal(without))(t)),
		"the answer is not its entry":   "{}",
		"the answer is not its entry: ": "no JSON",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(answer)) }))
		t.Cleanup(server.Close)
		services := sigstore.Services{Fulcio: fake.URL, TSA: fake.TSA, Rekor: server.URL, RekorVersion: 2}
		_, err := sigstore.NewKeyless(services, sigstore.Identity{Token: fake.IDToken()}).Sign(t.Context(), statement)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Sign with the answer %s = %v, want %q", answer, err, want)
		}
	}
}

// What a log is worth that nobody here knows is no reason to refuse what a timestamp
// proves, and no proof of its own.
func TestRekorV2Unknown(t *testing.T) {
	fake, strangers := testenv.StartSigstore(t), testenv.StartSigstore(t)
	verifier := must(sigstore.NewIdentityVerifier(fake.Identity, fake.Issuer, fake.TrustedRoot))(t)
	b := signV2(t, fake, strangers.RekorV2)
	if _, err := verifier.Verify(must(json.Marshal(b))(t)); err != nil {
		t.Errorf("with a timestamp: %v", err)
	}
	material, _ := materialOf(b)
	delete(material, "timestampVerificationData")
	if _, err := verifier.Verify(must(json.Marshal(b))(t)); err == nil || !strings.Contains(err.Error(), "unknown log") {
		t.Errorf("without a timestamp: %v", err)
	}
}

// A checkpoint's name is that of the log's host, which the trusted root has to tell.
func TestRekorV2WithoutURL(t *testing.T) {
	fake := testenv.StartSigstore(t)
	path := changeRoot(t, fake.TrustedRoot, func(trusted map[string]any) {
		logs, _ := trusted["tlogs"].([]any)
		for _, one := range logs {
			log, _ := one.(map[string]any)
			delete(log, "baseUrl")
		}
	})
	verifier := must(sigstore.NewIdentityVerifier(fake.Identity, fake.Issuer, path))(t)
	if _, err := verifier.Verify(must(json.Marshal(signV2(t, fake, fake.RekorV2)))(t)); err == nil || !strings.Contains(err.Error(), "no URL of its log") {
		t.Errorf("Verify = %v", err)
	}
}

// changeRoot writes a trusted root that differs from another.
func changeRoot(t *testing.T, path string, change func(map[string]any)) string {
	t.Helper()
	var trusted map[string]any
	if err := json.Unmarshal(must(os.ReadFile(path))(t), &trusted); err != nil {
		t.Fatal(err)
	}
	change(trusted)
	path = filepath.Join(t.TempDir(), "trusted_root.json")
	if err := os.WriteFile(path, must(json.Marshal(trusted))(t), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
