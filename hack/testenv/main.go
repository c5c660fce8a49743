package testenv

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"
)

// env is what one test binary has started. It is the package's only state, and
// there is one because a process ends once.
var env environment

type environment struct {
	mu      sync.Mutex
	main    bool
	atExit  []func()
	daemons []*Daemon
	port    int // of the last FreeAddr

	starting sync.Mutex // held while a shared daemon starts
	byKind   map[Kind]*Daemon

	copying sync.Mutex // held while a binary is copied
	bin     string
}

// Main is for TestMain: it runs the tests, stops everything that was started,
// and exits. The run fails if a process or a mount of a daemon is left.
func Main(m *testing.M) { os.Exit(Run(m)) }

// Run is Main for a TestMain that has more to do: it returns the exit code.
func Run(m interface{ Run() int }) int {
	env.mu.Lock()
	env.main = true
	env.mu.Unlock()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-signals
		env.exit()
		os.Exit(130)
	}()
	code := m.Run()
	env.exit()
	for _, left := range env.leftovers() {
		fmt.Fprintf(os.Stderr, "testenv: left behind: %s\n", left)
		code = 1
	}
	return code
}

// AtExit registers f to run after the last test, the latest registered first.
// It needs Main.
func AtExit(f func()) {
	env.mu.Lock()
	defer env.mu.Unlock()
	env.atExit = append(env.atExit, f)
}

// exit runs what AtExit registered; a second call finds nothing to do.
func (e *environment) exit() {
	for {
		e.mu.Lock()
		n := len(e.atExit)
		if n == 0 {
			e.mu.Unlock()
			return
		}
		f := e.atExit[n-1]
		e.atExit = e.atExit[:n-1]
		e.mu.Unlock()
		f()
	}
}

func (e *environment) running() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.main
}

func (e *environment) track(d *Daemon) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.daemons = append(e.daemons, d)
}

// shared starts a daemon that outlives the test that asked for it first.
func (e *environment) shared(kind Kind) (*Daemon, error) {
	e.starting.Lock()
	defer e.starting.Unlock()
	if d := e.byKind[kind]; d != nil {
		return d, nil
	}
	d, err := startDaemon(context.Background(), DaemonOptions{Kind: kind})
	if err != nil {
		return nil, err
	}
	if e.byKind == nil {
		e.byKind = map[Kind]*Daemon{}
	}
	e.byKind[kind] = d
	AtExit(func() {
		if err := d.Stop(); err != nil {
			fmt.Fprintf(os.Stderr, "testenv: stopping the shared buildkitd: %v\n", err)
		}
	})
	return d, nil
}
