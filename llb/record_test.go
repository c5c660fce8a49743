package llb

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/moby/buildkit/client"
	digest "github.com/opencontainers/go-digest"
)

// TestStatusThatComesLate has two builds of a solve tell of the same steps, of which one
// has ended before the other has told of what was there already, as on a busy machine.
func TestStatusThatComesLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		says := func(step, line string, completed *time.Time) *client.SolveStatus {
			v := &client.Vertex{Digest: digest.FromString(step), Name: step, Started: &now, Completed: completed}
			return &client.SolveStatus{Vertexes: []*client.Vertex{v}, Logs: []*client.VertexLog{{Vertex: v.Digest, Data: []byte(line)}}}
		}
		var shown string
		m := newStatusMerge(Options{Status: func(st *client.SolveStatus) {
			for _, l := range st.Logs {
				shown += string(l.Data)
			}
		}})
		early, late := m.stream(), m.stream()
		early <- says("over", "built\n", &now)
		early <- says("goes on", "one\n", nil)
		close(early)
		synctest.Wait()
		late <- says("over", "built\n", &now)
		late <- says("goes on", "two\n", &now)
		close(late)
		m.wait()
		if want := "built\none\ntwo\n"; shown != want {
			t.Errorf("what the steps say is shown as %q, want %q", shown, want)
		}
		if got := string(m.record.Vertex(digest.FromString("over")).Log); got != "built\n" {
			t.Errorf("of the step is kept %q, want what it said once", got)
		}
	})
}
