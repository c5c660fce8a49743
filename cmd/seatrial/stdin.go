package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// stdin stands for standard input, as the context, the Dockerfile or a saved image.
const stdin = "-"

// awaited is r, standard input, until ctx is over. Someone at a terminal is told what
// is waited for: there is nothing else to be seen.
func awaited(ctx context.Context, r io.Reader, what string, notes io.Writer) io.Reader {
	if f, ok := r.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprintf(notes, "seatrial: waiting for %s on standard input, which is a terminal: Ctrl-D at the beginning of a line ends it\n", what)
	}
	return interruptible(ctx, r)
}

// interruptible is r until ctx is over. A read that never returns is left behind.
func interruptible(ctx context.Context, r io.Reader) io.Reader {
	out, in := io.Pipe()
	go func() {
		_, err := io.Copy(in, r)
		in.CloseWithError(err)
	}()
	context.AfterFunc(ctx, func() { out.CloseWithError(context.Cause(ctx)) })
	return out
}

// lateFile is opened when it is first read: opening a named pipe waits for who writes.
type lateFile struct {
	path string
	file *os.File
}

func (f *lateFile) Read(p []byte) (int, error) {
	if f.file == nil {
		file, err := os.Open(f.path)
		if err != nil {
			return 0, err
		}
		f.file = file
	}
	return f.file.Read(p)
}
