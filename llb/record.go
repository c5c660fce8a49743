package llb

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
)

// logTail is how much of a vertex's output is kept for error messages.
const logTail = 64 << 10

// Vertex is what became of one step.
type Vertex struct {
	Name      string
	Started   time.Time // zero if it never started
	Completed time.Time // zero if it never ended
	Cached    bool
	Error     string
	Log       []byte // the end of its output, both streams
}

// Record is what the daemon reported of a build, by vertex.
type Record struct {
	mu       sync.Mutex
	vertices map[digest.Digest]*Vertex
	warnings []client.VertexWarning
	news     chan struct{}            // closed, and replaced, when something was added
	printed  map[digest.Digest][]byte // of the commands of trials
	layers   map[digest.Digest]span   // of exports, by their vertices
	slowest  [2]time.Duration         // Compression, of records that were joined
}

// Warnings are what the build was warned of, each once: by the rules of the
// Dockerfile's linter and by the daemon.
func (r *Record) Warnings() []client.VertexWarning {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.warnings)
}

// completed waits until a step is known to have ended.
func (r *Record) completed(ctx context.Context, dgst digest.Digest) error {
	for {
		r.mu.Lock()
		if r.news == nil {
			r.news = make(chan struct{})
		}
		news := r.news
		r.mu.Unlock()
		if v := r.Vertex(dgst); !v.Completed.IsZero() {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Vertex is what is known of the step dgst; the zero value if nothing is.
func (r *Record) Vertex(dgst digest.Digest) Vertex {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range []digest.Digest{ignoringCache(dgst), dgst} {
		if v := r.vertices[d]; v != nil {
			return *v
		}
	}
	return Vertex{}
}

// printedLimit is how much of a trial's command is kept. A daemon sends 2 MiB of a step if
// it is not told otherwise.
const printedLimit = 8 << 20

// keep has all kept that commands print.
func (r *Record) keep(commands []digest.Digest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.printed == nil {
		r.printed = map[digest.Digest][]byte{}
	}
	for _, dgst := range commands {
		if _, ok := r.printed[dgst]; !ok {
			r.printed[dgst] = nil
			r.printed[ignoringCache(dgst)] = nil
		}
	}
}

// Printed is what has arrived of the output of a trial's command: all of it, if it is less
// than 8 MiB and the daemon has sent all.
func (r *Record) Printed(dgst digest.Digest) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range []digest.Digest{ignoringCache(dgst), dgst} {
		if out := r.printed[d]; len(out) > 0 {
			return out
		}
	}
	return nil
}

// ignoringCache is the name that the daemon gives the step dgst where it must not come
// from the cache and the same step without that demand is at work too (solver/jobs.go).
func ignoringCache(dgst digest.Digest) digest.Digest {
	return digest.FromString(dgst.String() + "-ignorecache")
}

// Failed are the steps that failed, not those that were cancelled.
func (r *Record) Failed() []Vertex {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Vertex
	for _, v := range r.vertices {
		if v.Error != "" && v.Name != settleName && !strings.HasSuffix(v.Error, context.Canceled.Error()) {
			out = append(out, *v)
		}
	}
	return out
}

// Steps counts the steps that ran or came from the cache, and the latter.
func (r *Record) Steps() (total, cached int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range r.vertices {
		if v.Completed.IsZero() || v.Name == settleName {
			continue
		}
		total++
		if v.Cached {
			cached++
		}
	}
	return total, cached
}

// JoinRecords counts several solves as one. Vertices are not to be had from it by
// digest: solves on different daemons may have the same.
func JoinRecords(records ...*Record) *Record {
	joined := &Record{vertices: map[digest.Digest]*Vertex{}}
	for i, r := range records {
		if building, compressing := r.Compression(); compressing > joined.slowest[1] {
			joined.slowest = [2]time.Duration{building, compressing}
		}
		r.mu.Lock()
		for dgst, v := range r.vertices {
			joined.vertices[digest.Digest(fmt.Sprintf("%d/%s", i, dgst))] = v
		}
		for _, w := range r.warnings {
			joined.warn(&w)
		}
		r.mu.Unlock()
	}
	return joined
}

func (r *Record) add(st *client.SolveStatus) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.news != nil {
		close(r.news)
		r.news = nil
	}
	for _, v := range st.Vertexes {
		rec := r.vertex(v.Digest)
		// A step from an imported cache is reported once more, and not as cached,
		// when its layers are fetched because somebody reads them.
		rec.Name, rec.Cached, rec.Error = v.Name, rec.Cached || v.Cached, v.Error
		if v.Started != nil {
			rec.Started = *v.Started
		}
		if v.Completed != nil {
			rec.Completed = *v.Completed
		}
	}
	r.addLayers(st)
	for _, l := range st.Logs {
		rec := r.vertex(l.Vertex)
		rec.Log = append(rec.Log, l.Data...)
		if over := len(rec.Log) - logTail; over > 0 {
			rec.Log = append([]byte(nil), rec.Log[over:]...)
		}
		if out, kept := r.printed[l.Vertex]; kept && len(out)+len(l.Data) <= printedLimit {
			r.printed[l.Vertex] = append(out, l.Data...)
		}
	}
}

// warn keeps a warning, and tells whether it is new.
func (r *Record) warn(w *client.VertexWarning) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := slices.ContainsFunc(r.warnings, func(k client.VertexWarning) bool {
		return bytes.Equal(k.Short, w.Short) && slices.EqualFunc(k.Range, w.Range, (*pb.Range).EqualVT)
	})
	if !known {
		r.warnings = append(r.warnings, *w)
	}
	return !known
}

func (r *Record) vertex(dgst digest.Digest) *Vertex {
	if r.vertices == nil {
		r.vertices = map[digest.Digest]*Vertex{}
	}
	v := r.vertices[dgst]
	if v == nil {
		v = &Vertex{}
		r.vertices[dgst] = v
	}
	return v
}

// statusMerge is the one status stream of the builds that make up a solve. The
// daemon reports a vertex that they share in each of their streams, its output
// included; it is taken from the first stream that names it.
type statusMerge struct {
	mu     sync.Mutex
	owners map[digest.Digest]int
	told   map[digest.Digest]int // of steps that have ended, by streams that have: the last stream that may repeat it
	record *Record
	out    func(*client.SolveStatus)
	redact func([]byte) []byte
	wg     sync.WaitGroup
	next   int
}

func newStatusMerge(opt Options) *statusMerge {
	m := &statusMerge{owners: map[digest.Digest]int{}, told: map[digest.Digest]int{}, record: &Record{}, out: opt.Status, redact: opt.Redact}
	if m.out == nil {
		m.out = func(*client.SolveStatus) {}
	}
	if m.redact == nil {
		m.redact = func(b []byte) []byte { return b }
	}
	return m
}

// stream is a channel for one build, which closes it.
func (m *statusMerge) stream() chan *client.SolveStatus {
	ch := make(chan *client.SolveStatus)
	m.mu.Lock()
	m.next++
	id := m.next
	m.mu.Unlock()
	m.wg.Add(1)
	go func() {
		defer m.wg.Done()
		for st := range ch {
			m.take(id, st)
		}
		m.release(id)
	}()
	return ch
}

// wait returns when every stream has ended.
func (m *statusMerge) wait() *Record {
	m.wg.Wait()
	return m.record
}

func (m *statusMerge) take(id int, st *client.SolveStatus) {
	m.mu.Lock()
	defer m.mu.Unlock()
	mine := &client.SolveStatus{}
	for _, v := range st.Vertexes {
		if was := m.record.vertices[v.Digest]; was != nil && v.Started != nil && v.Started.After(was.Completed) {
			delete(m.told, v.Digest) // it has begun anew, see add
		}
		if m.owns(id, v.Digest) {
			v.Name, v.Error = RedactURLs(v.Name), Plain(v.Error)
			mine.Vertexes = append(mine.Vertexes, v)
		}
	}
	for _, s := range st.Statuses {
		if m.owns(id, s.Vertex) {
			s.ID, s.Name = RedactURLs(s.ID), RedactURLs(s.Name)
			mine.Statuses = append(mine.Statuses, s)
		}
	}
	for _, l := range st.Logs {
		if m.owns(id, l.Vertex) {
			l.Data = redactFetch(m.redact(l.Data))
			mine.Logs = append(mine.Logs, l)
		}
	}
	for _, w := range st.Warnings {
		w.Short = []byte(RedactURLs(string(w.Short)))
		if m.record.warn(w) {
			mine.Warnings = append(mine.Warnings, w)
		}
	}
	if len(mine.Vertexes)+len(mine.Statuses)+len(mine.Logs)+len(mine.Warnings) == 0 {
		return
	}
	m.record.add(mine)
	mine.Vertexes = slices.DeleteFunc(mine.Vertexes, func(v *client.Vertex) bool { return v.Name == settleName })
	mine.Logs = slices.DeleteFunc(mine.Logs, func(l *client.VertexLog) bool { return m.record.Vertex(l.Vertex).Name == settleName })
	m.out(mine)
}

// warn takes a warning that is no daemon's, or not yet.
func (m *statusMerge) warn(w *client.VertexWarning) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w.Short = []byte(RedactURLs(string(w.Short)))
	if m.record.warn(w) {
		m.out(&client.SolveStatus{Warnings: []*client.VertexWarning{w}})
	}
}

func (m *statusMerge) owns(id int, dgst digest.Digest) bool {
	owner, ok := m.owners[dgst]
	if !ok && id > m.told[dgst] {
		m.owners[dgst] = id
		return true
	}
	return owner == id
}

// release leaves what a stream that ended had to the streams that go on: a step
// may outlive the build that first asked for it. Of one that has ended they have nothing
// new to tell, but may be late.
func (m *statusMerge) release(id int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for dgst, owner := range m.owners {
		if owner == id {
			delete(m.owners, dgst)
			if v := m.record.vertices[dgst]; v != nil && !v.Completed.IsZero() { // nobody else adds to it
				m.told[dgst] = m.next
			}
		}
	}
}
