// Package layer makes the layer of an image that holds the test helper. It is a package
// of its own for the sake of what describes that layer before it is embedded.
package layer

import (
	"archive/tar"
	"bytes"
	_ "crypto/sha256" // which the digest is made with
	"fmt"
	"path"
	"time"

	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seatrial/seatrial/testsuite/helper/protocol"
)

// Of is a tar of one file, the program, which everybody may execute. Variants, counted
// from 0, differ in nothing that a test could see.
//
// It is not compressed: its digest then depends on the program alone, and not on who
// compressed it.
func Of(program []byte, variant int) ([]byte, error) {
	var buf bytes.Buffer
	buf.Grow(len(program) + 4096) // a header, padding, and the end
	w := tar.NewWriter(&buf)
	header := &tar.Header{Typeflag: tar.TypeReg, Name: path.Base(protocol.Init), Mode: 0o755, Size: int64(len(program)), Format: tar.FormatUSTAR}
	if variant > 0 {
		header.ModTime = time.Unix(int64(variant), 0)
	}
	if err := w.WriteHeader(header); err != nil {
		return nil, fmt.Errorf("making a layer of the test helper: %w", err)
	}
	if _, err := w.Write(program); err != nil {
		return nil, fmt.Errorf("making a layer of the test helper: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("making a layer of the test helper: %w", err)
	}
	return buf.Bytes(), nil
}

// Describe describes a layer.
func Describe(blob []byte) ocispecs.Descriptor {
	return ocispecs.Descriptor{MediaType: ocispecs.MediaTypeImageLayer, Digest: digest.FromBytes(blob), Size: int64(len(blob))}
}
