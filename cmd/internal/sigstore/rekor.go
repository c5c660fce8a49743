package sigstore

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
)

// The entries of the first version's logs that are of interest here.
const (
	entryKind    = "dsse"
	entryVersion = "0.0.1"
)

// rekorEntry is Rekor's own form of a logEntry.
type rekorEntry struct {
	Body         []byte `json:"body"`
	Time         int64  `json:"integratedTime"`
	LogID        string `json:"logID"`
	Index        int64  `json:"logIndex"`
	Verification struct {
		SignedEntryTimestamp []byte      `json:"signedEntryTimestamp"`
		Proof                *rekorProof `json:"inclusionProof"`
	} `json:"verification"`
}

type rekorProof struct {
	Checkpoint string   `json:"checkpoint"`
	Hashes     []string `json:"hashes"`
	Index      int64    `json:"logIndex"`
	RootHash   string   `json:"rootHash"`
	TreeSize   int64    `json:"treeSize"`
}

// loggedV1 puts a signed envelope into a log of Rekor's first version.
func loggedV1(ctx context.Context, rekor string, e envelope, leaf *x509.Certificate) (*logEntry, error) {
	text, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string]any{
		"apiVersion": entryVersion, "kind": entryKind,
		"spec": map[string]any{"proposedContent": map[string]any{"envelope": string(text), "verifiers": [][]byte{pemOf(leaf)}}},
	})
	if err != nil {
		return nil, err
	}
	answer, err := call(ctx, http.MethodPost, strings.TrimSuffix(rekor, "/")+"/api/v1/log/entries", "application/json", body, nil)
	if err != nil {
		return nil, fmt.Errorf("putting the signature into Rekor's log: %w", err)
	}
	var got map[string]rekorEntry
	if err := json.Unmarshal(answer, &got); err != nil || len(got) != 1 {
		return nil, errors.New("putting the signature into Rekor's log: the answer is no entry")
	}
	for _, one := range got {
		entry, err := one.entry()
		if err != nil {
			return nil, fmt.Errorf("putting the signature into Rekor's log: %w", err)
		}
		return entry, nil
	}
	return nil, nil
}

func pemOf(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}

func (r rekorEntry) entry() (*logEntry, error) {
	id, err := hex.DecodeString(r.LogID)
	if err != nil {
		return nil, err
	}
	e := &logEntry{
		Index: r.Index, Log: logID{id}, Kind: kindVersion{entryKind, entryVersion}, Time: r.Time,
		Promise: &promise{r.Verification.SignedEntryTimestamp}, CanonicalizedBody: r.Body,
	}
	p := r.Verification.Proof
	if p == nil {
		return e, nil
	}
	e.Proof = &bundleProof{Index: p.Index, TreeSize: p.TreeSize}
	e.Proof.Checkpoint.Envelope = p.Checkpoint
	if e.Proof.RootHash, err = hex.DecodeString(p.RootHash); err != nil {
		return nil, err
	}
	for _, h := range p.Hashes {
		hash, err := hex.DecodeString(h)
		if err != nil {
			return nil, err
		}
		e.Proof.Hashes = append(e.Proof.Hashes, hash)
	}
	return e, nil
}

// verifyPromise tells when the log says that it has taken the envelope with this
// signature by this certificate.
func (e *logEntry) verifyPromise(log *root.TransparencyLog, env envelope, leaf *x509.Certificate) (time.Time, error) {
	at := time.Unix(e.Time, 0)
	switch {
	case at.Before(log.ValidityPeriodStart) || !log.ValidityPeriodEnd.IsZero() && at.After(log.ValidityPeriodEnd):
		return at, errors.New("its log was not in use then")
	case e.Promise == nil:
		return at, errors.New("its log has promised nothing")
	}
	key, ok := log.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return at, fmt.Errorf("the log's key is a %T", log.PublicKey)
	}
	// The fields are in the order of canonical JSON.
	said, err := json.Marshal(struct {
		Body  string `json:"body"`
		Time  int64  `json:"integratedTime"`
		LogID string `json:"logID"`
		Index int64  `json:"logIndex"`
	}{base64.StdEncoding.EncodeToString(e.CanonicalizedBody), e.Time, hex.EncodeToString(e.Log.KeyID), e.Index})
	if err != nil {
		return at, err
	}
	if sum := sha256.Sum256(said); !ecdsa.VerifyASN1(key, sum[:], e.Promise.SignedEntryTimestamp) {
		return at, errors.New("the log's signature is not its own")
	}
	return at, e.isAbout(env, leaf)
}

// isAbout makes sure that the entry is of this very envelope.
func (e *logEntry) isAbout(env envelope, leaf *x509.Certificate) error {
	var body struct {
		Kind    string `json:"kind"`
		Version string `json:"apiVersion"`
		Spec    struct {
			PayloadHash struct {
				Algorithm string `json:"algorithm"`
				Value     string `json:"value"`
			} `json:"payloadHash"`
			Signatures []struct {
				Signature []byte `json:"signature"`
				Verifier  []byte `json:"verifier"`
			} `json:"signatures"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(e.CanonicalizedBody, &body); err != nil {
		return err
	}
	sum := sha256.Sum256(env.Payload)
	hash := body.Spec.PayloadHash
	switch {
	case body.Kind != entryKind || body.Version != entryVersion:
		return fmt.Errorf("its log entry is a %s %s, not a %s %s", body.Kind, body.Version, entryKind, entryVersion)
	case hash.Algorithm != "sha256" || hash.Value != hex.EncodeToString(sum[:]):
		return errors.New("its log entry is about something else")
	}
	for _, s := range body.Spec.Signatures {
		block, _ := pem.Decode(s.Verifier)
		if block != nil && bytes.Equal(block.Bytes, leaf.Raw) && bytes.Equal(s.Signature, env.Signatures[0].Sig) {
			return nil
		}
	}
	return errors.New("its log entry is about another signature")
}
