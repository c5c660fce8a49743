package llb

import (
	"testing"
	"time"

	"github.com/moby/buildkit/client"
)

func TestRecordCompression(t *testing.T) {
	at := func(s int) *time.Time {
		when := time.Unix(int64(1000+s), 0)
		return &when
	}
	record := func(begin, from, to int) *Record {
		r := &Record{}
		r.add(&client.SolveStatus{Vertexes: []*client.Vertex{
			{Digest: "sha256:b", Name: "exporting to image", Started: at(from)}, {Digest: "sha256:a", Name: "RUN make", Started: at(begin), Completed: at(from)},
		}})
		r.add(&client.SolveStatus{Statuses: []*client.VertexStatus{{ID: exportingLayers, Vertex: "sha256:b", Started: at(from)}}})
		r.add(&client.SolveStatus{Statuses: []*client.VertexStatus{{ID: exportingLayers, Vertex: "sha256:b", Started: at(from), Completed: at(to)}}})
		return r
	}
	check := func(r *Record, wantBuilding, wantCompressing time.Duration) {
		t.Helper()
		if building, compressing := r.Compression(); building != wantBuilding || compressing != wantCompressing {
			t.Errorf("built in %s, compressed in %s, want %s and %s", building, compressing, wantBuilding, wantCompressing)
		}
	}
	check(&Record{}, 0, 0)
	check(record(2, 5, 12), 3*time.Second, 7*time.Second)
	// Daemons have clocks of their own.
	check(JoinRecords(record(500, 501, 502), record(2, 5, 12), record(900, 900, 901)), 3*time.Second, 7*time.Second)
}
