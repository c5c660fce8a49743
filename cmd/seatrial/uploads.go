package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/identity"
	digest "github.com/opencontainers/go-digest"

	"github.com/seatrial/seatrial/registry"
)

// uploadStep is how often the progress of one blob is shown.
const uploadStep = 100 * time.Millisecond

// shownWait is the shortest wait for a registry that is shown.
const shownWait = time.Second

// uploads shows blobs on their way, one step for each repository, and what they wait for.
type uploads struct {
	mu      sync.Mutex
	display *display // nil before there is a builder: connecting to registries begins earlier
	repos   map[string]*upload
	waits   map[string]time.Time // for a host: the end of the longest that was shown
	early   []*wait              // that began before there was a display
}

type wait struct {
	registry.Wait
	end  time.Time   // zero: it is over
	done func(error) // ends the step that shows it, if one does
}

type upload struct {
	vertex client.Vertex
	blobs  map[string]*client.VertexStatus
}

// progress is called by the push, from several goroutines.
func (u *uploads) progress(p registry.Progress) {
	if p.State == registry.StateStarted {
		return // it is not known yet whether there is anything to send
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	st := &client.SolveStatus{}
	up := u.repos[p.Repository.Name()]
	if u.repos == nil {
		u.repos = map[string]*upload{}
	}
	if up == nil {
		up = &upload{
			vertex: client.Vertex{Digest: digest.FromString(identity.NewID()), Name: "[push] layers to " + p.Repository.Name(), Started: now()},
			blobs:  map[string]*client.VertexStatus{},
		}
		u.repos[p.Repository.Name()] = up
		st.Vertexes = []*client.Vertex{&up.vertex}
	}
	blob := up.blobs[p.Digest.String()]
	if blob == nil {
		blob = &client.VertexStatus{ID: p.Digest.String(), Vertex: up.vertex.Digest, Started: now()}
		up.blobs[p.Digest.String()] = blob
	}
	if !advance(blob, p) && st.Vertexes == nil {
		return
	}
	shown := *blob
	st.Statuses = []*client.VertexStatus{&shown}
	u.display.send(st)
}

// showOn shows what there is from now on, and what is waited for already.
func (u *uploads) showOn(d *display) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.display = d
	for _, w := range u.early {
		if time.Until(w.end) >= shownWait {
			u.show(w)
		}
	}
}

// waiting is called by the push, from several goroutines, which mostly wait for the same
// host at the same time. One of them is shown.
func (u *uploads) waiting(pause registry.Wait) (over func()) {
	w := &wait{Wait: pause, end: time.Now().Add(pause.For)}
	u.mu.Lock()
	defer u.mu.Unlock()
	if w.For < shownWait || w.end.Before(u.waits[w.Host].Add(shownWait)) {
		return func() {}
	}
	if u.waits == nil {
		u.waits = map[string]time.Time{}
	}
	u.waits[w.Host] = w.end
	if u.display == nil {
		u.early = append(u.early, w)
	} else {
		u.show(w)
	}
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		w.end = time.Time{}
		if w.done != nil {
			w.done(nil)
		}
	}
}

// show shows what is left of a wait.
func (u *uploads) show(w *wait) {
	w.For = time.Until(w.end)
	w.done = u.display.step("[push] " + waitingFor(w.Wait))
}

// waitingFor says what a wait is for.
func waitingFor(w registry.Wait) string {
	if w.Reason == "" {
		return fmt.Sprintf("%s asks to come back in %.0fs", w.Host, w.For.Seconds())
	}
	return fmt.Sprintf("trying %s again in %.0fs: %s", w.Host, w.For.Seconds(), w.Reason)
}

// end completes the steps. What is the matter is shown with the repository that it is the
// matter with; the others are cancelled because of it, or because of a test.
func (u *uploads) end(err error) {
	var failed *registry.Error
	errors.As(err, &failed)
	u.mu.Lock()
	defer u.mu.Unlock()
	for repo, up := range u.repos {
		var open []*client.VertexStatus
		for _, blob := range up.blobs {
			if shown := *blob; shown.Completed == nil {
				shown.Completed = now()
				open = append(open, &shown)
			}
		}
		why := err
		if err != nil && (failed == nil || failed.Repository != repo) {
			why = context.Canceled
		}
		u.display.end(up.vertex, why, open...)
	}
}

// advance takes p into blob and tells whether that is worth showing.
func advance(blob *client.VertexStatus, p registry.Progress) bool {
	last := blob.Timestamp
	blob.Total, blob.Current = p.Size, p.Sent
	switch p.State {
	case registry.StateUploading:
		if time.Since(last) < uploadStep {
			return false
		}
	default:
		blob.Current, blob.Completed = p.Size, now()
		if p.State != registry.StateDone {
			blob.ID = string(p.State) + " " + p.Digest.String()
		}
	}
	blob.Timestamp = time.Now()
	return true
}
