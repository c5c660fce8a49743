package sigstore_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/seatrial/seatrial/cmd/internal/sigstore"
	"github.com/seatrial/seatrial/hack/testenv"
)

// Where the trusted root names logs of certificates, one of them has to have said that
// it has the certificate; where it names none, as with a private Fulcio, none has to.
func TestCertificateLog(t *testing.T) {
	fake, strangers := testenv.StartSigstore(t), testenv.StartSigstore(t)
	var theirs map[string]any
	if err := json.Unmarshal(must(os.ReadFile(strangers.TrustedRoot))(t), &theirs); err != nil {
		t.Fatal(err)
	}
	none := changeRoot(t, fake.TrustedRoot, func(trusted map[string]any) { delete(trusted, "ctlogs") })
	unknown := changeRoot(t, fake.TrustedRoot, func(trusted map[string]any) { trusted["ctlogs"] = theirs["ctlogs"] })
	logOf := func(trusted map[string]any) map[string]any {
		logs, _ := trusted["ctlogs"].([]any)
		log, _ := logs[0].(map[string]any)
		return log
	}
	otherKey := changeRoot(t, fake.TrustedRoot, func(trusted map[string]any) {
		logOf(trusted)["publicKey"] = logOf(theirs)["publicKey"]
	})
	otherTime := changeRoot(t, fake.TrustedRoot, func(trusted map[string]any) {
		key, _ := logOf(trusted)["publicKey"].(map[string]any)
		key["validFor"] = map[string]any{"start": "2020-01-01T00:00:00Z", "end": "2021-01-01T00:00:00Z"}
	})
	both := changeRoot(t, fake.TrustedRoot, func(trusted map[string]any) {
		trusted["ctlogs"] = []any{logOf(theirs), logOf(trusted)}
	})
	for name, tc := range map[string]struct{ fulcio, trusted, want string }{
		"its log":              {fake.URL, fake.TrustedRoot, ""},
		"its log among others": {fake.URL, both, ""},
		"no logs are known":    {fake.URL, none, ""},
		"none, and none known": {fake.Unlogged, none, ""},
		"no log has it":        {fake.Unlogged, fake.TrustedRoot, "it has no SCT"},
		"an unknown log":       {fake.URL, unknown, "unknown log"},
		"another's signature":  {fake.URL, otherKey, "is not its log's"},
		"a log that has ended": {fake.URL, otherTime, "not in use"},
	} {
		services := sigstore.Services{Fulcio: tc.fulcio, TSA: fake.TSA}
		b := must(sigstore.NewKeyless(services, sigstore.Identity{Token: fake.IDToken()}).Sign(t.Context(), statement))(t)
		_, err := must(sigstore.NewIdentityVerifier(fake.Identity, fake.Issuer, tc.trusted))(t).Verify(b)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: Verify = %v, want %q", name, err, tc.want)
		}
	}
}
