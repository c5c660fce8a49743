package main

import (
	"context"
	"io"
	"slices"

	"github.com/seatrial/seatrial/llb"
)

// console is what a process in a container is connected to.
type console struct {
	in       io.Reader
	out, err io.Writer
	keys     *keyboard // nil until it is read
}

// run has a container run a process. On a terminal it gets one too.
func (k *console) run(ctx context.Context, c *llb.Container, proc llb.Process) (int, error) {
	if k.keys == nil {
		k.keys = readKeys(k.in)
	}
	over := make(chan struct{})
	defer close(over)
	proc.Stdin, proc.Stdout, proc.Stderr = k.keys.until(over), k.out, k.err
	if t := asTerminal(k.in, k.out); t != nil {
		if err := t.raw(); err != nil {
			return 0, err
		}
		defer t.restore()
		proc.Sizes = t.sizes
	}
	return c.Run(ctx, proc)
}

// keyboard is what comes from standard input. A read of it cannot be called off, so one
// goroutine reads for all processes there will be, and what one has not read is there
// for the next.
type keyboard struct {
	chunks chan []byte
	rest   []byte
}

func readKeys(r io.Reader) *keyboard {
	t := &keyboard{chunks: make(chan []byte)}
	go func() {
		defer close(t.chunks)
		buf := make([]byte, 32<<10)
		for {
			n, err := r.Read(buf)
			if n > 0 {
				t.chunks <- slices.Clone(buf[:n])
			}
			if err != nil {
				return
			}
		}
	}()
	return t
}

// until is a reader that ends when over is closed.
func (t *keyboard) until(over <-chan struct{}) io.Reader { return &keyReader{t, over} }

type keyReader struct {
	*keyboard
	over <-chan struct{}
}

// Read implements io.Reader.
func (r *keyReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		select {
		case <-r.over:
			return 0, io.EOF
		case chunk, ok := <-r.chunks:
			if !ok {
				return 0, io.EOF
			}
			r.rest = chunk
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
