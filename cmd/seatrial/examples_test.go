package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/seatrial/seatrial/hack/testenv"
)

const examples = "../../hack/examples/"

// TestExamples has the examples with services do as they say, with servers of the
// distribution in the place of Docker Hub's images.
func TestExamples(t *testing.T) {
	servers := testenv.ServerLayouts(t)
	postgres, redis := "postgres:17=oci-layout://"+servers["postgres"]+":latest", "redis:7=oci-layout://"+servers["redis"]+":latest"
	python := "base=oci-layout://" + testenv.DebianLayout(t, "python3-flask", "python3-psycopg2", "python3-pytest") + ":latest"
	visits := "build=" + buildVisits(t)
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) {
			w := newWorld(t, testenv.SharedDaemon(t, kind))
			run := func(t *testing.T, code int, project string, contexts ...string) *command {
				t.Helper()
				verb := "run"
				if len(contexts) > 0 {
					verb = "test" // a distribution's image is large to push
				}
				args := []string{verb, "-t", w.registry.Host + "/" + filepath.Base(project) + ":1", "--report-dir", t.TempDir(), "--test-timeout", "2m"}
				for _, c := range contexts {
					args = append(args, "--build-context", c)
				}
				got := start(t, w.env(), append(args, project)...)
				got.exits(code)
				return got
			}
			t.Run("flask-postgres", func(t *testing.T) {
				t.Parallel()
				run(t, 0, examples+"flask-postgres", python, postgres).says("tested  docker-compose.test.yml  passed in")
				run(t, 0, examples+"flask-postgres", python, postgres).says("tested  docker-compose.test.yml  passed (cached")
				broken := t.TempDir()
				if err := os.CopyFS(broken, os.DirFS(examples+"flask-postgres")); err != nil {
					t.Fatal(err)
				}
				if err := os.Remove(filepath.Join(broken, "migrations/002_length.sql")); err != nil {
					t.Fatal(err)
				}
				run(t, exitTest, broken, python, postgres).says("test_no_berth_is_endless")
			})
			t.Run("go-redis", func(t *testing.T) {
				t.Parallel()
				run(t, 0, examples+"go-redis", visits, redis).says("tested  docker-compose.test.yml  passed in")
			})
			t.Run("two-services", func(t *testing.T) {
				t.Parallel()
				run(t, 0, examples+"two-services", redis).says("tested  replicated  passed in")
			})
			t.Run("dockerhub", func(t *testing.T) {
				t.Parallel()
				run(t, 0, examples+"dockerhub").says("tested  docker-compose.test.yml  passed in")
			})
			t.Run("crash", func(t *testing.T) {
				t.Parallel()
				run(t, exitTest, examples+"crash").says(`service "pump" exited with 3 while the test ran`, "seawater in the diesel", "no tag moved")
			})
		})
	}
}

// buildVisits is what the stage that needs a Go image makes.
func buildVisits(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, args := range [][]string{
		{"build", "-o", filepath.Join(dir, "out/visits"), "."},
		{"test", "-c", "-o", filepath.Join(dir, "out/visits.test"), "."},
	} {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir, cmd.Env = examples+"go-redis", append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %v: %v\n%s", args, err, out)
		}
	}
	return dir
}
