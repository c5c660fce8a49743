package testenv

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	tiles "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/rekor-tiles/v2/pkg/types/hashedrekord"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/rfc6962"
	sumdbnote "golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/encoding/protojson"
)

// rekorV2 is a log of Rekor's second version: a Merkle tree, of whose state it signs
// checkpoints, and nothing else.
type rekorV2 struct {
	url    string
	id     []byte
	key    crypto.PublicKey
	signer sumdbnote.Signer

	mu     sync.Mutex
	leaves [][]byte // their hashes
}

// newRekorV2 makes a log that others have written to before.
func newRekorV2(address string, key crypto.Signer) (*rekorV2, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	signer, err := signature.LoadSigner(key, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	l := &rekorV2{url: address, key: key.Public()}
	if _, l.id, err = note.KeyHash(u.Hostname(), l.key); err != nil {
		return nil, err
	}
	if l.signer, err = note.NewNoteSigner(context.Background(), u.Hostname(), signer); err != nil {
		return nil, err
	}
	for n := range 5 {
		l.leaves = append(l.leaves, rfc6962.DefaultHasher.HashLeaf(fmt.Appendf(nil, "entry %d", n)))
	}
	return l, nil
}

func newEdwardsKey() (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(nil)
	return key, err
}

// trusted is what a trusted root says of the log.
func (l *rekorV2) trusted(start time.Time) *root.TransparencyLog {
	return &root.TransparencyLog{
		BaseURL: l.url, ID: l.id, ValidityPeriodStart: start, HashFunc: crypto.SHA256, PublicKey: l.key, SignatureHashFunc: crypto.SHA256,
	}
}

// enter takes what Rekor takes, and checks it with Rekor's own code.
func (l *rekorV2) enter(req *http.Request) ([]byte, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	var asked tiles.CreateEntryRequest
	if err := protojson.Unmarshal(body, &asked); err != nil {
		return nil, err
	}
	if asked.GetHashedRekordRequestV002() == nil {
		return nil, errors.New("invalid type, must be hashedrekord")
	}
	algorithms, err := signature.NewAlgorithmRegistryConfig([]protocommon.PublicKeyDetails{protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256})
	if err != nil {
		return nil, err
	}
	entry, err := hashedrekord.ToLogEntry(asked.GetHashedRekordRequestV002(), algorithms)
	if err != nil {
		return nil, err
	}
	return l.add(entry)
}

func (l *rekorV2) add(entry *tiles.Entry) ([]byte, error) {
	body, err := protojson.Marshal(entry)
	if err != nil {
		return nil, err
	}
	if body, err = jsoncanonicalizer.Transform(body); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	index := len(l.leaves)
	l.leaves = append(l.leaves, rfc6962.DefaultHasher.HashLeaf(body))
	head := log.Checkpoint{Origin: l.signer.Name(), Size: uint64(len(l.leaves)), Hash: treeHead(l.leaves)}
	checkpoint, err := sumdbnote.Sign(&sumdbnote.Note{Text: string(head.Marshal())}, l.signer)
	if err != nil {
		return nil, err
	}
	return protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(&protorekor.TransparencyLogEntry{
		LogIndex: int64(index), LogId: &protocommon.LogId{KeyId: l.id}, CanonicalizedBody: body,
		KindVersion: &protorekor.KindVersion{Kind: entry.GetKind(), Version: entry.GetApiVersion()},
		InclusionProof: &protorekor.InclusionProof{
			LogIndex: int64(index), TreeSize: int64(len(l.leaves)), RootHash: head.Hash, Hashes: auditPath(index, l.leaves),
			Checkpoint: &protorekor.Checkpoint{Envelope: string(checkpoint)},
		},
	})
}

// treeHead and auditPath are MTH and PATH of RFC 6962, section 2.1.
func treeHead(leaves [][]byte) []byte {
	if len(leaves) == 1 {
		return leaves[0]
	}
	k := split(len(leaves))
	return rfc6962.DefaultHasher.HashChildren(treeHead(leaves[:k]), treeHead(leaves[k:]))
}

func auditPath(index int, leaves [][]byte) [][]byte {
	if len(leaves) == 1 {
		return nil
	}
	k := split(len(leaves))
	if index < k {
		return append(auditPath(index, leaves[:k]), treeHead(leaves[k:]))
	}
	return append(auditPath(index-k, leaves[k:]), treeHead(leaves[:k]))
}

// split is the largest power of two below n.
func split(n int) int {
	k := 1
	for 2*k < n {
		k *= 2
	}
	return k
}
