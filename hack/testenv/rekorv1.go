package testenv

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// enter puts a DSSE envelope into a log that has no other entry.
func (s *Sigstore) enter(req *http.Request) ([]byte, error) {
	var asked struct {
		Spec struct {
			ProposedContent struct {
				Envelope  string
				Verifiers [][]byte
			}
		}
	}
	if err := json.NewDecoder(req.Body).Decode(&asked); err != nil {
		return nil, err
	}
	var envelope struct {
		Payload    []byte
		Signatures []struct{ Sig string }
	}
	proposed := asked.Spec.ProposedContent
	if err := json.Unmarshal([]byte(proposed.Envelope), &envelope); err != nil || len(envelope.Signatures) != 1 || len(proposed.Verifiers) != 1 {
		return nil, fmt.Errorf("not one envelope with a signature and a verifier: %w", err)
	}
	hash := func(b []byte) map[string]string {
		sum := sha256.Sum256(b)
		return map[string]string{"algorithm": "sha256", "value": hex.EncodeToString(sum[:])}
	}
	// Maps make JSON with the keys in order, which is the canonical one.
	body, err := json.Marshal(map[string]any{"apiVersion": "0.0.1", "kind": "dsse", "spec": map[string]any{
		"envelopeHash": hash([]byte(proposed.Envelope)), "payloadHash": hash(envelope.Payload),
		"signatures": []map[string]any{{"signature": envelope.Signatures[0].Sig, "verifier": proposed.Verifiers[0]}},
	}})
	if err != nil {
		return nil, err
	}
	id, err := keyID(&s.logKey.PublicKey)
	if err != nil {
		return nil, err
	}
	entry := map[string]any{"body": body, "integratedTime": time.Now().Unix(), "logID": hex.EncodeToString(id), "logIndex": 0}
	signed, err := json.Marshal(entry)
	if err != nil {
		return nil, err
	}
	promise, err := sign(s.logKey, signed)
	if err != nil {
		return nil, err
	}
	proof, err := s.proof(body, id)
	entry["verification"] = map[string]any{"signedEntryTimestamp": promise, "inclusionProof": proof}
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{strings.Repeat("0", 64): entry})
}

// proof is for the only leaf of a tree, whose hash is the root's.
func (s *Sigstore) proof(body, id []byte) (map[string]any, error) {
	leaf := sha256.Sum256(append([]byte{0}, body...))
	note := fmt.Sprintf("log.example.com - 1\n1\n%s\n", base64.StdEncoding.EncodeToString(leaf[:]))
	sig, err := sign(s.logKey, []byte(note))
	if err != nil {
		return nil, err
	}
	line := "\n\u2014 log.example.com " + base64.StdEncoding.EncodeToString(append(id[:4:4], sig...)) + "\n"
	return map[string]any{"checkpoint": note + line, "hashes": []string{}, "logIndex": 0, "rootHash": hex.EncodeToString(leaf[:]), "treeSize": 1}, nil
}
