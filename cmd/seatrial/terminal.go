package main

import (
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"golang.org/x/term"
)

// terminal is the user's.
type terminal struct {
	in, out *os.File
	sizes   chan gateway.WinSize
	restore func()
}

// asTerminal is nil unless both in and out are a terminal.
func asTerminal(in io.Reader, out io.Writer) *terminal {
	i, iok := in.(*os.File)
	o, ook := out.(*os.File)
	if !iok || !ook || !term.IsTerminal(int(i.Fd())) || !term.IsTerminal(int(o.Fd())) {
		return nil
	}
	return &terminal{in: i, out: o}
}

// raw passes every key on, and follows the terminal's size, until restore. A signal
// that ends the process restores it as well, for the second one ends it at once.
func (t *terminal) raw() error {
	before, err := term.MakeRaw(int(t.in.Fd()))
	if err != nil {
		return err
	}
	ending, resized := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(ending, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	signal.Notify(resized, syscall.SIGWINCH)
	t.sizes = make(chan gateway.WinSize, 1)
	over := make(chan struct{})
	again := sync.OnceFunc(func() { _ = term.Restore(int(t.in.Fd()), before) }) // it may be gone
	t.restore = sync.OnceFunc(func() {
		signal.Stop(ending)
		signal.Stop(resized)
		close(over)
		again()
	})
	t.measure()
	go func() {
		for {
			select {
			case <-over:
				return
			case <-ending:
				again()
			case <-resized:
				t.measure()
			}
		}
	}()
	return nil
}

// measure puts the size where it is looked for, instead of one that nobody took.
func (t *terminal) measure() {
	cols, rows, err := term.GetSize(int(t.out.Fd()))
	if err != nil || cols <= 0 || rows <= 0 {
		return
	}
	select {
	case <-t.sizes:
	default:
	}
	t.sizes <- gateway.WinSize{Rows: uint32(rows), Cols: uint32(cols)} //nolint:gosec // not negative
}
