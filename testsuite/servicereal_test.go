package testsuite

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/llb"
)

// startPostgres is what the entrypoint of Docker Hub's image comes to.
const startPostgres = `#!/bin/sh
set -e
mkdir -p /data && chown postgres /data && cd /data
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
run() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }
[ -e /data/PG_VERSION ] || run initdb -D /data --auth=trust --no-sync >/dev/null
exec setpriv --reuid=postgres --regid=postgres --init-groups postgres -D /data -k /tmp -c listen_addresses='*' -c fsync=off
`

// serverStages are stages with real servers, and then the image.
const serverStages = `FROM servers AS postgres
COPY --chmod=755 <<'EOF' /start
` + startPostgres + `EOF
ENTRYPOINT ["/start"]
EXPOSE 5432
HEALTHCHECK CMD pg_isready -h 127.0.0.1 -U postgres
STOPSIGNAL SIGINT
FROM servers AS redis
USER redis
EXPOSE 6379
ENTRYPOINT ["redis-server", "--protected-mode", "no", "--dir", "/tmp"]
FROM busybox
`

// solveServers is solve with a Dockerfile that has stages with real servers.
func (b *builder) solveServers(t *testing.T, s *Suite) (*Report, error) {
	t.Helper()
	servers := "oci-layout://" + testenv.DebianLayout(t, "redis-server", "postgresql") + ":latest"
	return b.solveWith(t, llb.Options{NamedContexts: map[string]string{"servers": servers}}, serverStages, s)
}

// TestPostgres has a real one, with a constraint that refuses what a test does.
func TestPostgres(t *testing.T) {
	onEach(t, func(t *testing.T, b *builder) {
		once := unique(t)
		psql := "psql -h db -U postgres -v ON_ERROR_STOP=1 "
		suite := func(row string) *Suite {
			return &Suite{ReportDir: t.TempDir(), Tests: []Test{{
				Name: "constraint", From: Source{Stage: "postgres"}, Services: []Service{{Name: "db", From: Source{Stage: "postgres"}}},
				Args: []string{"sh", "-c", once + psql + `-c 'CREATE TABLE berth (length int CHECK (length < 100))' && ` + psql + `-c 'INSERT INTO berth VALUES (` + row + `)'`},
			}}}
		}
		for _, rings := range []int{1, 0} {
			s := suite("99")
			rep, err := b.solveServers(t, s)
			if err != nil || ringsOf(s, 0) != rings {
				t.Fatalf("Solve() = %v with %d rings, want %d\n%s", err, ringsOf(s, 0), rings, rep.Cases[0].Output.Log)
			}
			t.Logf("%d rings: %s", rings, rep.Cases[0].Duration)
		}
		rep, err := b.solveServers(t, suite("100"))
		var failed *FailedError
		if log := string(rep.Cases[0].Output.Log); !errors.As(err, &failed) || !strings.Contains(log, "violates check constraint") {
			t.Errorf("Solve() = %v with output %q, want the constraint violated", err, log)
		}
	})
}

// TestTwoPostgres are two that listen at the same port. Neither reaches the other there,
// which its log says; the test reaches both.
func TestTwoPostgres(t *testing.T) {
	onEach(t, func(t *testing.T, b *builder) {
		s := &Suite{ReportDir: t.TempDir(), Tests: []Test{{
			Name: "two", From: Source{Stage: "postgres"}, Services: []Service{{Name: "one", From: Source{Stage: "postgres"}}, {Name: "two", From: Source{Stage: "postgres"}}},
			Args: []string{"sh", "-c", unique(t) + `psql -h one -U postgres -c 'CREATE DATABASE "this"' && ! psql -h two -U postgres -d this -c '' && psql -h two -U postgres -c ''`},
		}}}
		rep, err := b.solveServers(t, s)
		if err != nil {
			t.Fatalf("Solve() = %v\n%s", err, rep.Cases[0].Output.Log)
		}
		if log := readFile(t, filepath.Join(s.ReportDir, "two/services/one.log")); !strings.Contains(log, "seatrial: two:5432 cannot be reached from here: this service listens at the same port of all addresses\n") {
			t.Errorf("the log of one is %q, want it told that two is out of reach", log)
		}
	})
}

// TestRedis has two services that need each other, and a real client.
func TestRedis(t *testing.T) {
	onEach(t, func(t *testing.T, b *builder) {
		s := &Suite{Tests: []Test{{
			Name: "replicated", From: Source{Stage: "redis"},
			Services: []Service{
				{Name: "follower", From: Source{Stage: "redis"}, Args: []string{"--port", "6380", "--replicaof", "leader", "6379"}, Ready: &Probe{Port: 6380}},
				{Name: "leader", From: Source{Stage: "redis"}},
			},
			Args: []string{"sh", "-c", unique(t) + `[ "$(redis-cli -h leader SET ship Argo)" = OK ] && [ "$(redis-cli -h leader WAIT 1 20000)" = 1 ] && [ "$(redis-cli -h follower -p 6380 GET ship)" = Argo ]`},
		}}}
		rep, err := b.solveServers(t, s)
		if err != nil {
			t.Fatalf("Solve() = %v\n%s", err, rep.Cases[0].Output.Log)
		}
		t.Logf("%s", rep.Cases[0].Duration)
	})
}
