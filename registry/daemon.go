package registry

import (
	"context"
	"errors"
	"fmt"
	"io"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"google.golang.org/grpc"
)

// DaemonContent reads from the content service of a daemon, for example
// (*client.Client).ContentClient of BuildKit.
//
// Each blob is one Content.Read stream. Reading through a ReaderAt, which is
// what containerd's own proxy store offers, costs one call for each 32 KiB that
// net/http copies and is ten times slower.
func DaemonContent(c contentapi.ContentClient) Store {
	return daemonContent{c}
}

type daemonContent struct {
	client contentapi.ContentClient
}

func (d daemonContent) Has(ctx context.Context, digest v1.Hash) (bool, error) {
	_, err := d.client.Info(ctx, &contentapi.InfoRequest{Digest: digest.String()})
	if err == nil {
		return true, nil
	}
	if err := nativeError(ctx, err); !errdefs.IsNotFound(err) {
		return false, fmt.Errorf("looking for blob %s: %w", digest, err)
	}
	return false, nil
}

func (d daemonContent) Open(ctx context.Context, desc v1.Descriptor) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := d.client.Read(ctx, &contentapi.ReadContentRequest{Digest: desc.Digest.String()}, grpc.ForceCodecV2(newContentCodec()))
	if err != nil {
		cancel()
		return nil, fmt.Errorf("opening blob %s: %w", desc.Digest, nativeError(ctx, err))
	}
	r := &blobReader{ctx: ctx, cancel: cancel, stream: stream, desc: desc}
	// Absence is only told by the first message, and the caller wants to know
	// it before it starts an upload.
	if err := r.fill(); err != nil && !errors.Is(err, io.EOF) {
		cancel()
		return nil, err
	}
	return r, nil
}

// blobReader is one stream of a blob.
type blobReader struct {
	ctx    context.Context // of the stream, for telling cancellation from loss
	cancel context.CancelFunc
	stream contentapi.Content_ReadClient
	desc   v1.Descriptor
	chunk  contentChunk
	got    int64
	err    error
}

func (r *blobReader) Read(p []byte) (int, error) {
	if err := r.fill(); err != nil {
		return 0, err
	}
	return r.chunk.Read(p)
}

// Close ends the stream. What was received and not read is left to the garbage
// collector: a transport closes a body while it may still be reading it.
func (r *blobReader) Close() error {
	r.cancel()
	return nil
}

// fill receives messages until one has bytes. Its error stays.
func (r *blobReader) fill() error {
	for r.err == nil && r.chunk.left == 0 {
		if err := r.stream.RecvMsg(&r.chunk); err != nil {
			r.err = r.ended(err)
			break
		}
		r.got += int64(r.chunk.left)
	}
	if r.chunk.left > 0 {
		return nil
	}
	return r.err
}

// ended says what the end of the stream means.
func (r *blobReader) ended(err error) error {
	if errors.Is(err, io.EOF) {
		if r.desc.Size > 0 && r.got != r.desc.Size {
			return fmt.Errorf("reading blob %s: got %d of %d bytes: %w", r.desc.Digest, r.got, r.desc.Size, io.ErrUnexpectedEOF)
		}
		return io.EOF
	}
	return fmt.Errorf("reading blob %s: %w", r.desc.Digest, nativeError(r.ctx, err))
}

// nativeError turns an error of the wire into one of errdefs or context. A lost
// daemon becomes io.ErrUnexpectedEOF as well: opening the blob again may work,
// since a daemon that comes back finds its store as it left it.
func nativeError(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	err = errgrpc.ToNative(err)
	if errdefs.IsUnavailable(err) {
		return fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, err)
	}
	return err
}
