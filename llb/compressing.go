package llb

import (
	"time"

	"github.com/moby/buildkit/client"
	digest "github.com/opencontainers/go-digest"
)

// exportingLayers is what the daemon says while it makes layers of what steps have
// changed: nearly all of that is compressing.
const exportingLayers = "exporting layers"

// span is a stretch of time by the daemon's clock.
type span struct{ from, to time.Time }

// Compression tells how long a daemon took for the image's layers, and for all that
// it had done for the image before. Of several daemons, it is the one that took
// longest for the layers. Both are 0 if there was nothing to compress.
func (r *Record) Compression() (building, compressing time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	building, compressing = r.slowest[0], r.slowest[1]
	began := r.began()
	for _, s := range r.layers {
		if d := s.to.Sub(s.from); d > compressing {
			building, compressing = s.from.Sub(began), d
		}
	}
	return building, compressing
}

// began is when the first step did.
func (r *Record) began() time.Time {
	var first time.Time
	for _, v := range r.vertices {
		if !v.Started.IsZero() && (first.IsZero() || v.Started.Before(first)) {
			first = v.Started
		}
	}
	return first
}

func (r *Record) addLayers(st *client.SolveStatus) {
	for _, s := range st.Statuses {
		if s.ID != exportingLayers || s.Started == nil || s.Completed == nil {
			continue
		}
		if r.layers == nil {
			r.layers = map[digest.Digest]span{}
		}
		r.layers[s.Vertex] = span{*s.Started, *s.Completed}
	}
}
