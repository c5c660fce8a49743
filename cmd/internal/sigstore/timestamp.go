package sigstore

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"

	"github.com/digitorus/timestamp"
)

// stamp has a timestamp authority (RFC 3161) say when there was a signature.
func stamp(ctx context.Context, tsa string, signature []byte) ([]byte, error) {
	sum := sha256.Sum256(signature)
	body, err := (&timestamp.Request{HashAlgorithm: crypto.SHA256, HashedMessage: sum[:], Certificates: true}).Marshal()
	if err != nil {
		return nil, err
	}
	answer, err := call(ctx, http.MethodPost, tsa, "application/timestamp-query", body, nil)
	if err != nil {
		return nil, fmt.Errorf("asking for a timestamp: %w", err)
	}
	got, err := timestamp.ParseResponse(answer)
	if err == nil && !bytes.Equal(got.HashedMessage, sum[:]) {
		err = errors.New("it is of something else")
	}
	if err != nil {
		return nil, fmt.Errorf("asking for a timestamp: %w", err)
	}
	return answer, nil
}
