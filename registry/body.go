package registry

import (
	"context"
	"errors"
	"io"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// blobBody is a blob as the body of uploads: reading it ends with the upload's
// context and is counted, and why it failed is kept. The transport reads on a
// goroutine of its own, hence the lock.
type blobBody struct {
	v1.Layer
	ctx      context.Context
	transfer *transfer

	mu  sync.Mutex
	err error
}

func (b *blobBody) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

func (b *blobBody) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

func (b *blobBody) Compressed() (io.ReadCloser, error) {
	r, err := b.open()
	if err != nil {
		b.fail(err)
		return nil, err
	}
	return &bodyReader{ReadCloser: b.transfer.reader(r), body: b}, nil
}

func (b *blobBody) open() (io.ReadCloser, error) {
	if l, ok := b.Layer.(*layer); ok {
		return l.open(b.ctx)
	}
	return b.Layer.Compressed()
}

// bodyReader keeps the error that reading ended with. The transport closes the
// body of a request that was answered early; what reading gives then is not a
// failure of the blob, and must not hide the answer.
type bodyReader struct {
	io.ReadCloser
	body *blobBody

	mu     sync.Mutex
	closed bool
}

func (r *bodyReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.mu.Lock()
		if !r.closed {
			r.body.fail(err)
		}
		r.mu.Unlock()
	}
	return n, err
}

func (r *bodyReader) Close() error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	return r.ReadCloser.Close()
}
