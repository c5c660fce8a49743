package sigstore

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net/http"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
)

// logEntry is what a bundle keeps of an entry, in protobuf's JSON form.
type logEntry struct {
	Index             int64        `json:"logIndex,string"`
	Log               logID        `json:"logId"`
	Kind              kindVersion  `json:"kindVersion"`
	Time              int64        `json:"integratedTime,omitempty,string"`
	Promise           *promise     `json:"inclusionPromise,omitempty"`
	Proof             *bundleProof `json:"inclusionProof,omitempty"`
	CanonicalizedBody []byte       `json:"canonicalizedBody"`
}

type logID struct {
	KeyID []byte `json:"keyId"`
}

type kindVersion struct {
	Kind    string `json:"kind"`
	Version string `json:"version"`
}

type promise struct {
	SignedEntryTimestamp []byte `json:"signedEntryTimestamp"`
}

type bundleProof struct {
	Index      int64    `json:"logIndex,string"`
	RootHash   []byte   `json:"rootHash"`
	TreeSize   int64    `json:"treeSize,string"`
	Hashes     [][]byte `json:"hashes"`
	Checkpoint struct {
		Envelope string `json:"envelope"`
	} `json:"checkpoint"`
}

// takenAlready tells that a log has an entry like this one. Its answer to the first try may
// have been lost; those of the first version say so now and then of an entry that they were
// given once (sigstore/sigstore-go#647).
func takenAlready(err error) bool {
	var r *refusal
	return errors.As(err, &r) && r.status == http.StatusConflict
}

// logged puts a signed envelope into a log.
func (s Services) logged(ctx context.Context, e envelope, leaf *x509.Certificate) (*logEntry, error) {
	if s.RekorVersion == 2 {
		return loggedV2(ctx, s.Rekor, e, leaf)
	}
	return loggedV1(ctx, s.Rekor, e, leaf)
}

// errUnknownLog is an entry of which nobody here can tell what it is worth.
var errUnknownLog = errors.New("it is in an unknown log")

// verify makes sure that the log has the envelope with this signature by this
// certificate, and tells when it took it, if the log says so.
func (e *logEntry) verify(logs map[string]*root.TransparencyLog, env envelope, leaf *x509.Certificate) (time.Time, error) {
	log := logs[hex.EncodeToString(e.Log.KeyID)]
	if log == nil {
		return time.Time{}, errUnknownLog
	}
	if e.isV2() {
		return time.Time{}, e.verifyProof(log, env, leaf)
	}
	return e.verifyPromise(log, env, leaf)
}
