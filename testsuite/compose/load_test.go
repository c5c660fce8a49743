package compose

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatrial/seatrial/testsuite"
)

// options are those of the project in testdata/good, built with VERSION=7.
func options() Options {
	return Options{
		ContextDir: "testdata/good",
		Names:      []string{"acme/app:1", "registry.example/app:1"},
		BuildArgs:  map[string]string{"VERSION": "7"},
		Env:        map[string]string{"SOURCE_BRANCH": "main", "IMAGE_NAME": "index.docker.io/acme/app:1", "PORT": "80", "TOKEN": "t"},
	}
}

// good is a path below the project's directory.
func good(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", "good", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadSut(t *testing.T) {
	inContext := testsuite.Source{Context: true}
	for file, want := range map[string]testsuite.Test{
		// What Docker Hub's documentation shows.
		"hub.test.yml": {Start: &testsuite.Start{Args: []string{"run_tests.sh"}}},
		"environment.test.yml": {
			Start: &testsuite.Start{Args: []string{"./test", "main"}},
			Env:   map[string]string{"SOURCE_BRANCH": "main", "FROM_FILE": "file", "QUOTED": "a b", "BOTH": "here", "URL": "http://web:80/$x"},
		},
		"sut.test.yml": {
			Start:    &testsuite.Start{Entrypoint: []string{"sh", "-c"}, Args: []string{"echo", "two words", "one"}},
			From:     testsuite.Source{Image: "registry.example/team/tests:1"},
			Platform: "linux/arm64", Workdir: "/src", User: "1000:1000", Hostname: "tester", Network: testsuite.NetworkNone,
			Hosts:  map[string]string{"metadata": "169.254.169.254", "six": "::1"},
			Memory: 64 << 20, CPUs: 1.5,
			Mounts: []testsuite.Mount{
				{Target: "/migrations", From: inContext, Path: "/app/migrations", ReadOnly: true},
				{Target: "/src", From: inContext, Path: "/"},
				{Type: testsuite.MountVolume, Target: "/reports"}, // is not there
				{Type: testsuite.MountVolume, Target: "/cache", ID: "cache"},
				{Type: testsuite.MountVolume, Target: "/anonymous"},
				{Type: testsuite.MountTmpfs, Target: "/t", Size: 1024},
				{Type: testsuite.MountTmpfs, Target: "/run", Size: 16 << 20},
				{Type: testsuite.MountTmpfs, Target: "/tmp"},
				{Type: testsuite.MountTmpfs, Target: "/dev/shm", Size: 32 << 20},
			},
		},
		"limits.test.yml": {Start: &testsuite.Start{}, Memory: 50 << 20, CPUs: 0.5, Network: testsuite.NetworkDefault},
		"objects.test.yml": {
			Start: &testsuite.Start{},
			Mounts: []testsuite.Mount{
				{Target: "/etc/app.yml", Text: "key: value\n", ReadOnly: true},
				{Target: "/inline", Text: "port: 80", ReadOnly: true},
				{Type: testsuite.MountSecret, Target: "/run/secrets/password", ID: "objects.test.yml/password"},
				{Type: testsuite.MountSecret, Target: "/etc/token", ID: "objects.test.yml/token"},
				{Type: testsuite.MountSecret, Target: "/run/secrets/outside", ID: "outside"},
			},
		},
		"tutum.test.yml": {
			Start:     &testsuite.Start{Args: []string{"python", "manage.py", "test"}},
			Services:  []testsuite.Service{{Name: "redis", From: testsuite.Source{Image: "tutum/redis"}, Env: map[string]string{"REDIS_PASS": "password"}}},
			DependsOn: []testsuite.Dependency{{Service: "redis", Condition: testsuite.Started}},
		},
		"profile.test.yml": {
			Start:     &testsuite.Start{},
			Services:  []testsuite.Service{{Name: "db", From: testsuite.Source{Image: "db"}}},
			DependsOn: []testsuite.Dependency{{Service: "db", Condition: testsuite.Started}},
		},
	} {
		t.Run(file, func(t *testing.T) {
			want.Name = file
			f, err := Load(t.Context(), filepath.Join("testdata", "good", file), options())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, f.Test); diff != "" {
				t.Errorf("Load(%s) (-want +got):\n%s", file, diff)
			}
			if len(f.Warnings)+len(f.Builds) > 0 {
				t.Errorf("Load(%s) warns %v and builds %v, want neither", file, f.Warnings, f.Builds)
			}
		})
	}
}

// TestLoadServices has what sut depends on, and what that depends on, and nothing else.
func TestLoadServices(t *testing.T) {
	f, err := Load(t.Context(), "testdata/good/services.test.yml", options())
	if err != nil {
		t.Fatal(err)
	}
	want := testsuite.Test{
		Name:  "services.test.yml",
		Start: &testsuite.Start{Entrypoint: []string{}, Args: []string{"./test"}},
		DependsOn: []testsuite.Dependency{
			{Service: "web", Condition: testsuite.Healthy},
			{Service: "seed", Condition: testsuite.Completed},
		},
		Services: []testsuite.Service{
			{
				Name: "web", Aliases: []string{"the-web", "www", "app.example"}, Ports: []int{80, 443},
				DependsOn: []testsuite.Dependency{{Service: "db", Condition: testsuite.Started}},
				Ready: &testsuite.Probe{
					Test: []string{"CMD-SHELL", "curl -f http://localhost/"}, Interval: time.Second, Timeout: 2 * time.Second,
					Retries: 4, StartPeriod: 3 * time.Second, StartInterval: 500 * time.Millisecond,
				},
			},
			{
				Name: "db", Aliases: []string{"database"}, From: testsuite.Source{Image: "postgres:16"}, Hostname: "pg", StopSignal: "SIGINT",
				Ports: []int{5432, 6000, 6001, 6002}, Env: map[string]string{"POSTGRES_PASSWORD": "x"},
				Ready: &testsuite.Probe{Test: []string{"CMD", "pg_isready"}},
			},
			{Name: "seed", From: testsuite.Source{Stage: "seed"}, Ready: &testsuite.Probe{Test: []string{"NONE"}}},
		},
	}
	if diff := cmp.Diff(want, f.Test); diff != "" {
		t.Errorf("Load() (-want +got):\n%s", diff)
	}
}

// TestLoadOptionalService has a dependency that is there if its profile is.
func TestLoadOptionalService(t *testing.T) {
	opt := options()
	opt.Env["COMPOSE_PROFILES"] = "debug"
	f, err := Load(t.Context(), "testdata/good/services.test.yml", opt)
	if err != nil {
		t.Fatal(err)
	}
	want := testsuite.Dependency{Service: "tracing", Condition: testsuite.Started, Optional: true}
	if got := f.Test.DependsOn[len(f.Test.DependsOn)-1]; got != want {
		t.Errorf("the last dependency = %v, want %v", got, want)
	}
}

func TestLoadOldestForm(t *testing.T) {
	f, err := Load(t.Context(), "testdata/good/oldest.test.yml", options())
	if err != nil {
		t.Fatal(err)
	}
	volume := []testsuite.Mount{{Type: testsuite.MountVolume, Target: "/data", ID: "data"}}
	want := testsuite.Test{
		Name: "oldest.test.yml", Start: &testsuite.Start{}, Network: testsuite.NetworkDefault, Mounts: volume,
		DependsOn: []testsuite.Dependency{{Service: "db", Condition: testsuite.Started}},
		Services: []testsuite.Service{{
			Name: "db", Aliases: []string{"database"}, Mounts: volume,
			From: testsuite.Source{Build: &testsuite.Build{Context: good(t, "."), Dockerfile: good(t, "Dockerfile.test")}},
		}},
	}
	if diff := cmp.Diff(want, f.Test); diff != "" {
		t.Errorf("Load() (-want +got):\n%s", diff)
	}
}

// TestLoadWarns has what is not honoured, in a service that extends another.
func TestLoadWarns(t *testing.T) {
	f, err := Load(t.Context(), "testdata/good/extends.test.yaml", options())
	if err != nil {
		t.Fatal(err)
	}
	if f.Test.User != "nobody" || !cmp.Equal(f.Test.Env, map[string]string{"A": "1", "B": "2"}) {
		t.Errorf("Load() = user %q, environment %v, want what it extends and its own", f.Test.User, f.Test.Env)
	}
	type warning struct {
		line int
		msg  string
	}
	want := []warning{
		{14, "read_only of sut is not honoured: the filesystem can be written to"},
		{20, "port 8125/udp of udp cannot be reached: TCP alone is forwarded"},
		{21, "limits of udp are not honoured: those of sut alone are"},
		{23, "the variable UNSET is not set, and stands for nothing"},
	}
	var got []warning
	for _, w := range f.Warnings {
		got = append(got, warning{w.Line, w.Msg})
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(warning{})); diff != "" {
		t.Errorf("Warnings (-want +got):\n%s", diff)
	}
}

// TestLoadSecrets has where the values are, and not the values in the test.
func TestLoadSecrets(t *testing.T) {
	f, err := Load(t.Context(), "testdata/good/objects.test.yml", options())
	if err != nil {
		t.Fatal(err)
	}
	want := []Secret{
		{ID: "objects.test.yml/password", File: good(t, "app/password")},
		{ID: "objects.test.yml/token", Env: "TOKEN", Value: "t"},
	}
	if diff := cmp.Diff(want, f.Secrets); diff != "" {
		t.Errorf("Secrets (-want +got):\n%s", diff)
	}
}

// TestDotEnv has the environment win over the file.
func TestDotEnv(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "a.test.yml", "services:\n  sut:\n    image: this\n    command: [$ONE, $TWO]\n    environment: [ONE, TWO]\n")
	write(t, dir, ".env", "ONE=file\nTWO=file\n")
	f, err := Load(t.Context(), file, Options{ContextDir: dir, Env: map[string]string{"ONE": "env"}})
	if err != nil {
		t.Fatal(err)
	}
	if !cmp.Equal(f.Test.Start.Args, []string{"env", "file"}) || !cmp.Equal(f.Test.Env, map[string]string{"ONE": "env", "TWO": "file"}) {
		t.Errorf("Load() = %v with %v, want ONE from the environment and TWO from the file", f.Test.Start.Args, f.Test.Env)
	}
}

// TestServiceSizes has a tmpfs of a size in services, which sut alone can have.
func TestServiceSizes(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "Dockerfile", "FROM scratch\n")
	file := write(t, dir, "x.test.yml", `services:
  sut: {build: ., depends_on: [db], shm_size: 64m, tmpfs: ["/a:size=1m"]}
  db:
    image: db
    shm_size: 64m
    tmpfs:
      - /scratch
      - /tmp:size=8m
    volumes:
      - {type: tmpfs, target: /v, tmpfs: {size: 1m}}
`)
	f, err := Load(t.Context(), file, Options{ContextDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	const why = " in db is not honoured: a tmpfs has one in sut alone"
	want := []Finding{
		{File: file, Line: 5, Column: 5, Msg: "the size of /dev/shm" + why},
		{File: file, Line: 8, Column: 9, Msg: "the size of /tmp" + why},
		{File: file, Line: 10, Column: 9, Msg: "the size of /v" + why},
	}
	if diff := cmp.Diff(want, f.Warnings); diff != "" {
		t.Errorf("Warnings (-want +got):\n%s", diff)
	}
}
