package testsuite

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// echo answers each connection with a line, on a port. It is a program that writes it:
// what netcat itself gets from a pipe is lost if the other side closes its half first.
func echo(port, line string) string { return "nc -ll -p " + port + " -e echo " + line }

// connect defines ask, which asks a service once: one that is ready answers.
const connect = `ask() { nc "$1" "$2" </dev/null; }; `

// unique makes a test another one than those before, also when it is repeated on the same
// daemon (-count).
func unique(t *testing.T) string {
	return fmt.Sprintf(": %s at %d; ", t.Name(), time.Now().UnixNano())
}

// ringsOf is how often a suite's test was executed with services.
func ringsOf(s *Suite, i int) int {
	if s.runs[i].rings == nil {
		return 0
	}
	return s.runs[i].rings.count
}

func TestServices(t *testing.T) {
	onEach(t, func(t *testing.T, b *builder) {
		command := connect + unique(t) + `[ "$(ask db 5432)" = served ] && [ "$(ask other.name 5432)" = served ] && [ "$(ask front 80)" = "front of served" ]`
		suite := func() *Suite {
			return &Suite{ReportDir: t.TempDir(), Tests: []Test{{Name: "unit", Command: command, Services: []Service{
				{Name: "front", Ports: []int{80}, DependsOn: []Dependency{{Service: "db"}}, User: "app", Shell: connect + `echo "front starts"; ` + echo("80", `"front of $(ask db 5432)"`)},
				{Name: "db", Aliases: []string{"other.name"}, Ports: []int{5432}, Env: map[string]string{"WHAT": "served"}, Shell: "echo db starts >/dev/stderr; " + echo("5432", "$WHAT")},
			}}}}
		}
		for i, want := range []int{1, 0} {
			s := suite()
			rep, err := b.solve(t, "FROM busybox\nUSER app\n", s)
			if err != nil {
				t.Fatalf("run %d: %v\n%s", i, err, rep.Cases[0].Output.Log)
			}
			if got := ringsOf(s, 0); got != want || rep.Cases[0].Cached != (want == 0) {
				t.Errorf("run %d started its services %d times, want %d; %+v", i, got, want, rep.Cases[0])
			}
			if want == 0 {
				continue
			}
			for name, want := range map[string]string{"db": "db starts\n", "front": "front starts\n"} {
				log, err := os.ReadFile(filepath.Join(s.ReportDir, "unit/services", name+".log"))
				if err != nil || !strings.Contains(string(log), want) {
					t.Errorf("the log of %s is %q, %v, want %q", name, log, err, want)
				}
			}
		}
		changed := suite()
		changed.Tests[0].Services[1].Env["MORE"] = "yes"
		if _, err := b.solve(t, "FROM busybox\nUSER app\n", changed); err != nil || ringsOf(changed, 0) != 1 {
			t.Errorf("with another environment of a service: %v, %d rings, want it run again", err, ringsOf(changed, 0))
		}
	})
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	dt, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(dt)
}
