package llb

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/moby/buildkit/client"
	digest "github.com/opencontainers/go-digest"
)

// TestStatusThatComesLate has two builds of a solve tell of the same steps, of which one
// has ended before the other has told of what was there already, as on a busy machine. One
// begins anew, as where layers are fetched that were in an imported cache.
func TestStatusThatComesLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		later := now.Add(time.Second)
		says := func(step, line string, started, completed *time.Time) *client.SolveStatus {
			v := &client.Vertex{Digest: digest.FromString(step), Name: step, Started: started, Completed: completed}
			return &client.SolveStatus{Vertexes: []*client.Vertex{v}, Logs: []*client.VertexLog{{Vertex: v.Digest, Data: []byte(line)}}}
		}
		var shown string
		m := newStatusMerge(Options{Status: func(st *client.SolveStatus) {
			for _, l := range st.Logs {
				shown += string(l.Data)
			}
		}})
		early, late := m.stream(), m.stream()
		early <- says("over", "built\n", &now, &now)
		early <- says("again", "cached\n", &now, &now)
		early <- says("goes on", "one\n", &now, nil)
		close(early)
		synctest.Wait()
		late <- says("over", "built\n", &now, &now)
		late <- says("again", "cached\n", &now, &now)
		late <- says("again", "fetching\n", &later, nil)
		late <- says("goes on", "two\n", &now, &now)
		close(late)
		m.wait()
		if want := "built\ncached\none\nfetching\ntwo\n"; shown != want {
			t.Errorf("what the steps say is shown as %q, want %q", shown, want)
		}
		if got := string(m.record.Vertex(digest.FromString("over")).Log); got != "built\n" {
			t.Errorf("of the step is kept %q, want what it said once", got)
		}
	})
}
