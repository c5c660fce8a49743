package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/identity"
	"github.com/moby/buildkit/util/progress/progressui"
	digest "github.com/opencontainers/go-digest"

	"github.com/seatrial/seatrial/testsuite"
)

// display is BuildKit's progress display, which also shows the steps that are
// ours. Its methods can be called from any goroutine.
type display struct {
	// showsLogs tells that it prints the output of failed steps itself.
	showsLogs bool

	mu     sync.Mutex
	unread map[digest.Digest]string // of caches that could not be read: why
	ch     chan *client.SolveStatus
	closed bool
	done   chan struct{}
}

func startDisplay(w io.Writer, mode string) (*display, error) {
	ui, err := progressui.NewDisplay(w, progressui.DisplayMode(mode))
	if err != nil {
		return nil, usagef("--progress plain works everywhere", "--progress %s: %w", mode, err)
	}
	d := &display{
		showsLogs: mode != "quiet" && mode != "rawjson",
		unread:    map[digest.Digest]string{},
		ch:        make(chan *client.SolveStatus, 16), done: make(chan struct{}),
	}
	go func() {
		defer close(d.done)
		// Not the build's context: how it was interrupted is shown too.
		_, _ = ui.UpdateFrom(context.Background(), d.ch)
	}()
	return d, nil
}

func (d *display) send(st *client.SolveStatus) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.ch <- d.once(st)
	}
}

// importing begins the name of the step in which a cache is read.
const importing = "importing cache manifest from "

// once leaves out what is said again of a cache that could not be read: every build of
// every builder looks for it. Errors of steps are as testsuite.Plain has them.
func (d *display) once(st *client.SolveStatus) *client.SolveStatus {
	out := *st
	out.Vertexes = slices.DeleteFunc(slices.Clone(st.Vertexes), func(v *client.Vertex) bool {
		_, known := d.unread[v.Digest]
		if cache, ok := strings.CutPrefix(v.Name, importing); ok && v.Error != "" && !known {
			d.unread[v.Digest] = cache + ": " + message(errors.New(v.Error))
		}
		v.Error = testsuite.Plain(v.Error)
		return known
	})
	return &out
}

// unreadCaches are those that could not be read, each with why.
func (d *display) unreadCaches() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Compact(slices.Sorted(maps.Values(d.unread)))
}

// close shows what is left and returns when it is shown. Nothing more is shown then.
func (d *display) close() {
	d.mu.Lock()
	if !d.closed {
		d.closed = true
		close(d.ch)
	}
	d.mu.Unlock()
	<-d.done
}

// step shows a step of ours, until the function it returns is called.
func (d *display) step(name string) func(error) {
	v := &client.Vertex{Digest: digest.FromString(identity.NewID()), Name: name, Started: now()}
	d.send(&client.SolveStatus{Vertexes: []*client.Vertex{v}})
	return func(err error) { d.end(*v, err) }
}

// end shows that a step of ours is over, with the last of what was shown of it: BuildKit's
// display says nothing of the end while that is under way.
func (d *display) end(v client.Vertex, err error, last ...*client.VertexStatus) {
	v.Completed = now()
	if err != nil {
		v.Error = stepError(err)
	}
	d.send(&client.SolveStatus{Vertexes: []*client.Vertex{&v}, Statuses: last})
}

// stepError is what a step of ours failed for. One that a signal has broken off is
// cancelled, as BuildKit's own steps are then, and not in error.
func stepError(err error) string {
	if errors.Is(err, context.Canceled) || errors.As(err, new(*signalError)) {
		return context.Canceled.Error()
	}
	return message(err)
}

func now() *time.Time {
	t := time.Now()
	return &t
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
