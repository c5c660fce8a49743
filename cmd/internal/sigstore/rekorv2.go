package sigstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/rekor-tiles/v2/pkg/verify"
	"github.com/sigstore/sigstore-go/pkg/root"
	keys "github.com/sigstore/sigstore/pkg/signature"
	sumdbnote "golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/encoding/protojson"
)

// object is one of JSON. It is written with the keys in order, which is the canonical
// form that logs hash.
type object = map[string]any

// bodiesV2 are what logs of Rekor's second version hold of an envelope: those of today
// what is signed, as of any file, and older ones had a form for envelopes.
var bodiesV2 = map[kindVersion]func(envelope, *x509.Certificate) object{
	{"hashedrekord", "0.0.2"}: func(e envelope, leaf *x509.Certificate) object {
		return object{"hashedRekordV002": object{
			"data": object{"algorithm": "SHA2_256", "digest": digestOf(dsse.PAE(e.PayloadType, e.Payload))}, "signature": signatureV2(e, leaf),
		}}
	},
	{"dsse", "0.0.2"}: func(e envelope, leaf *x509.Certificate) object {
		return object{"dsseV002": object{
			"payloadHash": object{"algorithm": "SHA2_256", "digest": digestOf(e.Payload)}, "signatures": []object{signatureV2(e, leaf)},
		}}
	},
}

// signatureV2 is of a key on P-256: others are not used here.
func signatureV2(e envelope, leaf *x509.Certificate) object {
	return object{"content": e.Signatures[0].Sig, "verifier": object{
		"keyDetails": "PKIX_ECDSA_P256_SHA_256", "x509Certificate": object{"rawBytes": leaf.Raw},
	}}
}

func digestOf(data []byte) []byte {
	sum := sha256.Sum256(data)
	return sum[:]
}

// loggedV2 puts what is signed into a log of Rekor's second version.
func loggedV2(ctx context.Context, rekor string, e envelope, leaf *x509.Certificate) (*logEntry, error) {
	body, err := json.Marshal(object{"hashedRekordRequestV002": object{
		"digest": digestOf(dsse.PAE(e.PayloadType, e.Payload)), "signature": signatureV2(e, leaf),
	}})
	if err != nil {
		return nil, err
	}
	answer, err := call(ctx, http.MethodPost, strings.TrimSuffix(rekor, "/")+"/api/v2/log/entries", "application/json", body, nil)
	if err != nil {
		return nil, fmt.Errorf("putting the signature into Rekor's log: %w", err)
	}
	entry, err := parseEntry(answer)
	if err == nil {
		err = entry.holds(e, leaf)
	}
	if err != nil {
		return nil, fmt.Errorf("putting the signature into Rekor's log: the answer is not its entry: %w", err)
	}
	return entry, nil
}

// parseEntry reads what encoding/json does not: a number may be a string in protobuf's
// JSON, or not, and a name has two forms.
func parseEntry(answer []byte) (*logEntry, error) {
	var got protorekor.TransparencyLogEntry
	if err := protojson.Unmarshal(answer, &got); err != nil {
		return nil, err
	}
	if got.GetInclusionProof().GetCheckpoint().GetEnvelope() == "" {
		return nil, errors.New("it has no proof with a checkpoint")
	}
	plain, err := protojson.Marshal(&got)
	if err != nil {
		return nil, err
	}
	entry := &logEntry{}
	return entry, json.Unmarshal(plain, entry)
}

// isV2 tells whether an entry is one of Rekor's second version.
func (e *logEntry) isV2() bool { return bodiesV2[e.Kind] != nil }

// holds makes sure that the entry is of this very envelope and certificate.
func (e *logEntry) holds(env envelope, leaf *x509.Certificate) error {
	if !e.isV2() {
		return fmt.Errorf("it is a %s %s", e.Kind.Kind, e.Kind.Version)
	}
	body, err := json.Marshal(object{"kind": e.Kind.Kind, "apiVersion": e.Kind.Version, "spec": bodiesV2[e.Kind](env, leaf)})
	if err != nil {
		return err
	}
	if !bytes.Equal(body, e.CanonicalizedBody) {
		return errors.New("it is about another signature")
	}
	return nil
}

// verifyProof makes sure that the log has signed a checkpoint of a tree that has the
// entry, and that it is of this envelope.
func (e *logEntry) verifyProof(log *root.TransparencyLog, env envelope, leaf *x509.Certificate) error {
	if err := e.holds(env, leaf); err != nil {
		return err
	}
	if e.Proof == nil {
		return errors.New("it has no proof that it is in the log")
	}
	signer, err := checkpointSigner(log)
	if err != nil {
		return err
	}
	return verify.VerifyLogEntry(&protorekor.TransparencyLogEntry{
		LogIndex: e.Index, CanonicalizedBody: e.CanonicalizedBody,
		InclusionProof: &protorekor.InclusionProof{
			Hashes: e.Proof.Hashes, Checkpoint: &protorekor.Checkpoint{Envelope: e.Proof.Checkpoint.Envelope},
		},
	}, signer)
}

// checkpointSigner is who signs a log's checkpoints: its key, by the name of its host.
func checkpointSigner(log *root.TransparencyLog) (sumdbnote.Verifier, error) {
	u, err := url.Parse(log.BaseURL)
	if err != nil || u.Hostname() == "" {
		return nil, fmt.Errorf("the trusted root has no URL of its log, but %q", log.BaseURL)
	}
	key, err := keys.LoadVerifier(log.PublicKey, log.SignatureHashFunc)
	if err != nil {
		return nil, err
	}
	return note.NewNoteVerifier(u.Hostname(), key)
}
