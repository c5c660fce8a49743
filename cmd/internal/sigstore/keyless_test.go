package sigstore_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/seatrial/seatrial/cmd/internal/sigstore"
	"github.com/seatrial/seatrial/hack/testenv"
)

func TestKeyless(t *testing.T) {
	fake := testenv.StartSigstore(t)
	token := sigstore.Identity{Token: fake.IDToken()}
	job := sigstore.Identity{RequestURL: fake.TokenURL, RequestToken: fake.RequestToken}
	for name, tc := range map[string]struct {
		services sigstore.Services
		identity sigstore.Identity
	}{
		"timestamp":      {sigstore.Services{Fulcio: fake.URL, TSA: fake.TSA}, token},
		"log":            {sigstore.Services{Fulcio: fake.URL + "/", Rekor: fake.URL}, token},
		"both, in a job": {sigstore.Services{Fulcio: fake.URL, TSA: fake.TSA, Rekor: fake.URL}, job},
	} {
		t.Run(name, func(t *testing.T) {
			if err := tc.services.Check(); err != nil {
				t.Fatal(err)
			}
			signer := sigstore.NewKeyless(tc.services, tc.identity)
			bundle := must(signer.Sign(t.Context(), statement))(t)
			got, err := must(sigstore.NewIdentityVerifier(fake.Identity, fake.Issuer, fake.TrustedRoot))(t).Verify(bundle)
			if err != nil || !bytes.Equal(got, statement) {
				t.Errorf("Verify = %q, %v", got, err)
			}
			for _, who := range [][2]string{{fake.Identity + "x", fake.Issuer}, {fake.Identity, fake.Issuer + "x"}} {
				if _, err := must(sigstore.NewIdentityVerifier(who[0], who[1], fake.TrustedRoot))(t).Verify(bundle); err == nil {
					t.Errorf("%q is taken for %s", who, fake.Identity)
				}
			}
			strangers := testenv.StartSigstore(t)
			if _, err := must(sigstore.NewIdentityVerifier(fake.Identity, fake.Issuer, strangers.TrustedRoot))(t).Verify(bundle); err == nil {
				t.Error("what others have certified is believed")
			}
			again := sigstore.NewKeyless(tc.services, tc.identity)
			for _, asked := range []struct {
				signer    *sigstore.Keyless
				statement []byte
				want      bool
			}{
				{again, statement, true},
				{again, []byte("{}"), false},
				{sigstore.NewKeyless(sigstore.Services{Fulcio: strangers.URL}, sigstore.Identity{Token: strangers.IDToken()}), statement, false},
			} {
				if got := must(asked.signer.Signed(t.Context(), bundle, asked.statement))(t); got != asked.want {
					t.Errorf("Signed(%s) = %v, want %v", asked.statement, got, asked.want)
				}
			}
		})
	}
}

// What is changed in a bundle, or left out of it, is noticed.
func TestKeylessRefuses(t *testing.T) {
	fake := testenv.StartSigstore(t)
	verifier := must(sigstore.NewIdentityVerifier(fake.Identity, fake.Issuer, fake.TrustedRoot))(t)
	sign := func(services sigstore.Services) map[string]any {
		t.Helper()
		services.Fulcio = fake.URL
		var b map[string]any
		if err := json.Unmarshal(must(sigstore.NewKeyless(services, sigstore.Identity{Token: fake.IDToken()}).Sign(t.Context(), statement))(t), &b); err != nil {
			t.Fatal(err)
		}
		return b
	}
	at := func(b map[string]any, keys ...string) map[string]any {
		for _, key := range keys {
			switch next := b[key].(type) {
			case map[string]any:
				b = next
			case []any:
				b, _ = next[0].(map[string]any)
			}
		}
		return b
	}
	const material = "verificationMaterial"
	stamped, logged := sigstore.Services{TSA: fake.TSA}, sigstore.Services{Rekor: fake.URL}
	both := sigstore.Services{TSA: fake.TSA, Rekor: fake.URL}
	for name, tc := range map[string]struct {
		services sigstore.Services
		forge    func(b, other map[string]any)
	}{
		"no time": {stamped, func(b, _ map[string]any) { delete(at(b, material), "timestampVerificationData") }},
		"another's time": {stamped, func(b, o map[string]any) {
			at(b, material)["timestampVerificationData"] = at(o, material)["timestampVerificationData"]
		}},
		"another certificate": {stamped, func(b, o map[string]any) { at(b, material)["certificate"] = at(o, material)["certificate"] }},
		"no certificate":      {stamped, func(b, _ map[string]any) { delete(at(b, material), "certificate") }},
		"another payload":     {stamped, func(b, _ map[string]any) { at(b, "dsseEnvelope")["payload"] = "e30=" }},
		"no signature":        {stamped, func(b, _ map[string]any) { at(b, "dsseEnvelope")["signatures"] = []any{} }},
		"another's log entry": {logged, func(b, o map[string]any) { at(b, material)["tlogEntries"] = at(o, material)["tlogEntries"] }},
		"another's beside a time": {both, func(b, o map[string]any) {
			at(b, material)["tlogEntries"] = at(o, material)["tlogEntries"]
		}},
		"another time in it":   {logged, func(b, _ map[string]any) { at(b, material, "tlogEntries")["integratedTime"] = "1" }},
		"another index":        {logged, func(b, _ map[string]any) { at(b, material, "tlogEntries")["logIndex"] = "7" }},
		"a log without a word": {logged, func(b, _ map[string]any) { delete(at(b, material, "tlogEntries"), "inclusionPromise") }},
		"an unknown log":       {logged, func(b, _ map[string]any) { at(b, material, "tlogEntries", "logId")["keyId"] = "AAAA" }},
	} {
		b := sign(tc.services)
		if _, err := verifier.Verify(must(json.Marshal(b))(t)); err != nil {
			t.Fatalf("%s: %v before it was forged", name, err)
		}
		tc.forge(b, sign(tc.services))
		if _, err := verifier.Verify(must(json.Marshal(b))(t)); err == nil {
			t.Errorf("%s: the bundle is believed", name)
		}
	}
}

// forgetfulLog takes entries like the one at target, but its first answer is lost, and what
// it has already it does not take again.
func forgetfulLog(t *testing.T, target string) string {
	t.Helper()
	proxy := httputil.NewSingleHostReverseProxy(must(url.Parse(target))(t))
	var mu sync.Mutex
	has := map[string]bool{}
	log := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		mu.Lock()
		first, again := len(has) == 0, has[string(body)]
		has[string(body)] = true
		mu.Unlock()
		if again {
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, `{"code":409,"message":"an equivalent entry already exists in the transparency log"}`)
			return
		}
		req.Body = io.NopCloser(bytes.NewReader(body))
		if first {
			proxy.ServeHTTP(httptest.NewRecorder(), req)
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, req)
	}))
	t.Cleanup(log.Close)
	return log.URL
}

// An entry that the log has taken, but has not said so, is not taken a second time.
func TestLostAnswerOfLog(t *testing.T) {
	fake := testenv.StartSigstore(t)
	verifier := must(sigstore.NewIdentityVerifier(fake.Identity, fake.Issuer, fake.TrustedRoot))(t)
	for version, log := range map[uint32]string{1: fake.URL, 2: fake.RekorV2} {
		services := sigstore.Services{Fulcio: fake.URL, TSA: fake.TSA, Rekor: forgetfulLog(t, log), RekorVersion: version}
		bundle, err := sigstore.NewKeyless(services, sigstore.Identity{Token: fake.IDToken()}).Sign(t.Context(), statement)
		if err != nil {
			t.Errorf("version %d: Sign: %v", version, err)
			continue
		}
		if _, err := verifier.Verify(bundle); err != nil {
			t.Errorf("version %d: Verify: %v", version, err)
		}
	}
}

func TestServicesRefuse(t *testing.T) {
	for want, s := range map[string]sigstore.Services{
		"no URL of Fulcio":                {Rekor: "https://rekor.example.com"},
		"neither a log nor":               {Fulcio: "https://fulcio.example.com"},
		`"fulcio" is not a URL`:           {Fulcio: "fulcio", Rekor: "https://rekor.example.com"},
		"not to be trusted without HTTPS": {Fulcio: "http://fulcio.example.com", Rekor: "https://rekor.example.com"},
	} {
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Check of %v = %v, want %q", s, err, want)
		}
	}
	fake := testenv.StartSigstore(t)
	services := sigstore.Services{Fulcio: fake.URL, TSA: fake.TSA}
	for want, identity := range map[string]sigstore.Identity{
		"not a JWT":     {Token: "secret"},
		"answered 400":  {Token: strings.Replace(fake.IDToken(), ".unsigned", ".forged", 1)},
		"answered 404":  {RequestURL: fake.URL + "/nowhere", RequestToken: "x"},
		"is for nobody": {Token: fake.IDToken() + "x"},
	} {
		_, err := sigstore.NewKeyless(services, identity).Sign(t.Context(), statement)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), fake.IDToken()) {
			t.Errorf("Sign as %v = %v, want %q", identity, err, want)
		}
	}
}
