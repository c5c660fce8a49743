package testsuite

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// failing solves a suite of one test that must fail, and returns its case.
func (b *builder) failing(t *testing.T, s *Suite) Case {
	t.Helper()
	rep, err := b.solve(t, "FROM busybox\n", s)
	var failed *FailedError
	if !errors.As(err, &failed) {
		t.Fatalf("Solve() = %v, want a failed test; report %+v", err, rep)
	}
	return rep.Cases[0]
}

// TestServicesThatFail are told of with their names, exit codes and last words.
func TestServicesThatFail(t *testing.T) {
	onEach(t, func(t *testing.T, b *builder) {
		for _, test := range []struct {
			name    string
			command string
			service Service
			late    []Dependency
			reason  string
			output  string
		}{
			{name: "dies before it is ready", command: "true", reason: `service "db" exited with 3 before it was ready`, output: "no space left",
				service: Service{Ports: []int{5432}, Shell: "echo no space left; exit 3"}},
			{name: "does not complete", command: "true", reason: `service "db" exited with 4`, output: "bye",
				service: Service{Shell: "echo bye; exit 4"}, late: []Dependency{{Service: "db", Condition: Completed}}},
			{name: "has no such command", command: "true", reason: `service "db" exited with 127 before it was ready`, output: `there is no command "postgres"`,
				service: Service{Ports: []int{5432}, Args: []string{"postgres"}}},
			{name: "is not ready", command: "true", reason: `service "db" is not ready after 300ms: "echo still recovering; false" exits with 1: still recovering`, output: "hello",
				service: Service{Shell: "echo hello; sleep 1000", Ready: &Probe{Test: []string{"CMD-SHELL", "echo still recovering; false"}, Interval: 100 * time.Millisecond}}},
			{name: "listens elsewhere", command: "true", reason: `service "db" is not ready after 3s: it does not listen on port 5432, but on 5433`,
				service: Service{Shell: echo("5433", "x"), Ports: []int{5432}, Ready: &Probe{Port: 5432, Interval: time.Second}}},
			{name: "says nothing", command: "true", reason: `service "db" is not ready after 300ms: no line of its output matches "ready to .*"`,
				service: Service{Shell: "echo ready for nothing; sleep 1000", Ready: &Probe{Log: "ready to .*", Interval: 100 * time.Millisecond}}},
			{name: "cannot be asked", command: "true", reason: `service "db" cannot be asked whether it is ready by "pg_isready -U me": there is no command "pg_isready"`,
				service: Service{Shell: "sleep 1000", Ready: &Probe{Test: []string{"CMD", "pg_isready", "-U", "me"}}}},
			{name: "crashes, and the test fails", command: "nc db 5432 </dev/null; sleep 1; exit 7",
				reason:  `service "db" exited with 5 while the test ran; the test ended with exit code 7`,
				service: Service{Ports: []int{5432}, Shell: "nc -l -p 5432; echo out of memory; exit 5"}, output: "out of memory"},
			{name: "crashes, and the test passes", command: "nc db 5432 </dev/null; sleep 1",
				reason:  `service "db" exited with 5 while the test ran; the test itself passed`,
				service: Service{Ports: []int{5432}, Shell: "nc -l -p 5432; echo out of memory; exit 5"}, output: "out of memory"},
			{name: "is nobody", command: "true", reason: `service "db" exited with 125 before it was ready`, output: `there is no user "postgres"`,
				service: Service{Ports: []int{5432}, User: "postgres", Shell: "true"}},
		} {
			t.Run(test.name, func(t *testing.T) {
				test.service.Name = "db"
				s := &Suite{ReportDir: t.TempDir(), Tests: []Test{{Name: "unit", Command: unique(t) + test.command, Services: []Service{
					test.service, {Name: "late", Shell: "sleep 1000", DependsOn: test.late},
				}}}}
				c := b.failing(t, s)
				said := string(c.Output.Log) + string(c.ServiceOutput)
				if !strings.HasPrefix(c.Reason, test.reason) || !strings.Contains(said, test.output) {
					t.Errorf("it failed because %q, with the output %q, want %q and %q", c.Reason, said, test.reason, test.output)
				}
				log, err := os.ReadFile(filepath.Join(s.ReportDir, "unit/services/db.log"))
				if err != nil || !strings.Contains(string(log), test.output) {
					t.Errorf("the log of db is %q, %v, want %q", log, err, test.output)
				}
			})
		}
	})
}

// TestServiceCrashIsNoPass runs a test again that passed although its service had crashed.
func TestServiceCrashIsNoPass(t *testing.T) {
	onEach(t, func(t *testing.T, b *builder) {
		command := unique(t) + "nc db 5432 </dev/null; sleep 0.5"
		for range 2 {
			s := &Suite{Tests: []Test{{Command: command, Services: []Service{{Name: "db", Ports: []int{5432}, Shell: "nc -l -p 5432; exit 5"}}}}}
			if c := b.failing(t, s); ringsOf(s, 0) != 1 {
				t.Errorf("it rang %d times, want once; %+v", ringsOf(s, 0), c)
			}
		}
	})
}

// TestServicesInOrder has one that must have completed before another starts.
func TestServicesInOrder(t *testing.T) {
	onEach(t, func(t *testing.T, b *builder) {
		s := &Suite{Tests: []Test{{Command: connect + unique(t) + `[ "$(ask db 5432)" = migrated ]`, Services: []Service{
			{Name: "db", Ports: []int{5432}, DependsOn: []Dependency{{Service: "migrate", Condition: Completed}, {Service: "absent", Optional: true}}, Shell: echo("5432", "migrated")},
			{Name: "migrate", Ports: []int{1}, Shell: connect + `[ "$(ask seed 99)" = seed ]`, DependsOn: []Dependency{{Service: "seed"}}},
			{Name: "seed", Ports: []int{99}, Shell: echo("99", "seed")},
		}}}}
		if rep, err := b.solve(t, "FROM busybox\n", s); err != nil {
			t.Errorf("Solve() = %v\n%s", err, rep.Cases[0].Output.Log)
		}
	})
}

// TestServiceRetriesAndShards has services of their own for every attempt and shard.
func TestServiceRetriesAndShards(t *testing.T) {
	onEach(t, func(t *testing.T, b *builder) {
		// The second connection to one and the same service fails the test.
		once := Service{Name: "db", Ports: []int{5432}, Shell: "nc -l -p 5432 -e echo first; nc -l -p 5432 -e echo second; sleep 1000"}
		command := connect + unique(t) + `[ "$(ask db 5432)" = first ] && until got=$(ask db 5432) && [ -n "$got" ]; do sleep 0.05; done; [ "$got" = second ] `
		s := &Suite{Tests: []Test{
			{Name: "flaky", Command: command + `&& case "$SEATRIAL_ATTEMPT" in 2.*) ;; *) exit 1;; esac`, Retries: 2, Services: []Service{once}},
			{Name: "sharded", Command: command, Shards: 3, Services: []Service{once}},
		}}
		rep, err := b.solve(t, "FROM busybox\n", s)
		if err != nil {
			t.Fatalf("Solve() = %v; %+v", err, rep)
		}
		if c := rep.Cases[0]; !c.Flaky || c.Attempts != 2 {
			t.Errorf("flaky = %+v, want it passed at attempt 2", c)
		}
		for i := range s.runs {
			if got := ringsOf(s, i); got != 1 {
				t.Errorf("%s rang %d times at its last attempt, want 1", s.runs[i].title(), got)
			}
		}
	})
}
