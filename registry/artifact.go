package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/containerd/errdefs"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// maxMetadata bounds manifests and configs, which are held in memory. It is
// far above what any registry accepts.
const maxMetadata = 64 << 20

// Artifact is what an image and an index of images share. Every Artifact is a
// v1.Image or a v1.ImageIndex.
type Artifact interface {
	MediaType() (types.MediaType, error)
	Digest() (v1.Hash, error)
	Size() (int64, error)
	RawManifest() ([]byte, error)
}

// LoadOptions says where blobs are to be had that are not in the store. The
// zero value is good for images that are complete.
type LoadOptions struct {
	// Bases are the images that the build started from. Their layers may be
	// absent from the store, since BuildKit fetches a layer only when a step
	// needs its files.
	Bases []Base

	// Keychain has the credentials for pulling from the registries of the
	// bases. Default authn.DefaultKeychain.
	Keychain authn.Keychain

	// Transport is used for those registries. Default Transport().
	Transport http.RoundTripper

	// NameOptions are used for parsing the references of the bases, for
	// example name.Insecure. Default none.
	NameOptions []name.Option

	// Materialize has the daemon fetch the layers that are absent from the
	// store. It is called at most once, if a layer is absent and cannot be
	// read from the registry of its base. Default nil: such a layer is an
	// error.
	Materialize func(ctx context.Context) error
}

// Load gives the image or index that desc names as a v1.Image or v1.ImageIndex.
// All manifests and configs are read at once and verified to hash to their
// digests; layers are read when they are needed. ctx is kept for those whose
// methods go-containerregistry calls without a context.
//
// An absent manifest or config is an error that matches ErrBlobMissing.
func Load(ctx context.Context, s Store, desc ocispecs.Descriptor, opt LoadOptions) (Artifact, error) {
	digest, err := v1.NewHash(desc.Digest.String())
	if err != nil {
		return nil, fmt.Errorf("reading descriptor of image: %w", err)
	}
	bases, err := newBases(s, opt)
	if err != nil {
		return nil, err
	}
	return newLoader(ctx, s, bases).artifact(ctx, v1.Descriptor{
		MediaType: types.MediaType(desc.MediaType),
		Digest:    digest,
		Size:      desc.Size,
	}, 0)
}

// maxNesting is more than any tool makes of indexes that are one in the other.
const maxNesting = 8

// loader reads images; they keep it for reading their layers.
type loader struct {
	store Store
	bases *bases
	ctx   context.Context // Load's: v1.Layer has methods without one
	read  map[manifestKey]Artifact
}

// manifestKey is what tells descriptors of manifests apart.
type manifestKey struct {
	mediaType types.MediaType
	digest    v1.Hash
	size      int64
}

func newLoader(ctx context.Context, s Store, b *bases) *loader {
	return &loader{store: s, bases: b, ctx: ctx, read: map[manifestKey]Artifact{}}
}

// artifact reads what is in as many indexes, one in the other. A manifest is read once,
// however many name it.
func (l *loader) artifact(ctx context.Context, desc v1.Descriptor, within int) (Artifact, error) {
	key := manifestKey{desc.MediaType, desc.Digest, desc.Size}
	if a, ok := l.read[key]; ok {
		return a, nil
	}
	var a Artifact
	var err error
	switch {
	case desc.MediaType.IsImage():
		a, err = l.image(ctx, desc)
	case desc.MediaType.IsIndex():
		a, err = l.index(ctx, desc, within)
	default:
		err = fmt.Errorf("reading image %s: unknown media type %q", desc.Digest, desc.MediaType)
	}
	if err != nil {
		return nil, err
	}
	l.read[key] = a
	return a, nil
}

// readVerified reads a blob that is small enough to be held in memory.
func readVerified(ctx context.Context, s Store, desc v1.Descriptor) ([]byte, error) {
	b, err := readHashed(ctx, s, desc)
	if err == nil && desc.Size != int64(len(b)) {
		return nil, fmt.Errorf("%s is damaged: it has %d of %d bytes", desc.Digest, len(b), desc.Size)
	}
	return b, err
}

// readHashed is readVerified for a blob whose size may not be known.
func readHashed(ctx context.Context, s Store, desc v1.Descriptor) ([]byte, error) {
	if desc.Size > maxMetadata {
		return nil, fmt.Errorf("reading %s: %d bytes are too many for a manifest or config", desc.Digest, desc.Size)
	}
	r, err := s.Open(ctx, desc)
	if err != nil {
		if errdefs.IsNotFound(err) && !errors.Is(err, ErrBlobMissing) {
			return nil, fmt.Errorf("%w: %w", ErrBlobMissing, err)
		}
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxMetadata))
	if err != nil {
		return nil, err
	}
	got, _, err := v1.SHA256(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	if got != desc.Digest {
		return nil, fmt.Errorf("%s is damaged: content hashes to %s", desc.Digest, got)
	}
	return b, nil
}
