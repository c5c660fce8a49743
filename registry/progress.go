package registry

import (
	"io"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// State is how far a blob is on its way to a repository.
type State string

// The states, of which the last three are final.
const (
	StateStarted   State = "started"   // the registry is being asked for it
	StateUploading State = "uploading" // Sent tells how much of it
	StateMounted   State = "mounted"   // taken over from another repository; no byte was sent
	StateExists    State = "exists"    // was there already
	StateDone      State = "done"      // was uploaded
)

// Progress tells about one blob on its way to one repository. The last one for
// a blob that arrived is StateMounted, StateExists or StateDone.
type Progress struct {
	Repository name.Repository
	Digest     v1.Hash
	Size       int64
	Sent       int64 // never more than Size; 0 again when an upload is repeated
	State      State
}

// Wait is a pause before a registry is asked again.
type Wait struct {
	Host   string // of the registry, or where it sent us to
	For    time.Duration
	Reason string // why the last try failed; "" where the host asks to be left alone (Retry-After)
}

// progressStep is how many bytes pass between two reports.
const progressStep = 256 << 10

// transfer is one blob on its way to one repository.
type transfer struct {
	report func(Progress)

	mu  sync.Mutex
	now Progress
}

func (t *transfer) set(state State, sent int64) {
	if t.report == nil {
		return
	}
	t.mu.Lock()
	t.now.State = state
	t.now.Sent = min(sent, t.now.Size)
	now := t.now
	t.mu.Unlock()
	t.report(now)
}

// reader counts what is read of the blob.
func (t *transfer) reader(r io.ReadCloser) io.ReadCloser {
	t.set(StateUploading, 0)
	return &countingReader{ReadCloser: r, transfer: t}
}

type countingReader struct {
	io.ReadCloser
	transfer *transfer
	sent     int64
	told     int64
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.sent += int64(n)
	if r.sent-r.told >= progressStep {
		r.told = r.sent
		r.transfer.set(StateUploading, r.sent)
	}
	return n, err
}
