package sigstore_test

import (
	"bytes"
	"testing"

	"github.com/seatrial/seatrial/cmd/internal/sigstore"
)

// What is added to a signed bundle by somebody else is not signed, and keeps nobody from
// finding the signature.
func TestFactsOfWhatWasAddedTo(t *testing.T) {
	signer := must(sigstore.ReadSigner(cosignKey, password))(t)
	bundle := must(signer.Sign(t.Context(), statement))(t)
	added := bytes.Replace(bundle, []byte(`"publicKey":`), []byte(`"certificate":{"rawBytes":"bm9uZQ=="},"tlogEntries":[{"logIndex":"7"}],"publicKey":`), 1)
	if signed, err := signer.Signed(t.Context(), added, statement); err != nil || !signed {
		t.Fatalf("Signed(%s) = %v, %v, want true", added, signed, err)
	}
	if f := sigstore.FactsOf(added); f.Identity != "" || f.LogIndex == nil || *f.LogIndex != 7 {
		t.Errorf("FactsOf = %+v, want the entry 7 of nobody", f)
	}
}
