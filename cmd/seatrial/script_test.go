package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/moby/buildkit/client"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seatrial/seatrial/hack/testenv"
)

// testMain lets testscript run this binary as the command, and testenv clean up.
type testMain struct{ m *testing.M }

func (t testMain) Run() int { return testenv.Run(t.m) }

func TestMain(m *testing.M) {
	runFrontend()
	testscript.Main(testMain{m}, map[string]func(){"seatrial": main})
}

// kinds are the builders that every story is told on.
var kinds = []testenv.Kind{testenv.Root, testenv.Rootless}

// TestScripts tells the user stories of testdata/script, each on a rootful and
// on a rootless buildkitd, with two registries. In a script, the image "busybox"
// is there under its own name, $REGISTRY and $OTHER are registries, the latter an
// old one without a referrers API, $FRONTENDS is one that all share, $WEB serves the
// directory web, $GIT the repositories in the directory git, $GITSSH the same by SSH for
// whoever has the file key (the file stranger is a key too), $BUILDCTL is BuildKit's
// own client, and BUILDKIT_HOST is set. setUpRegistries has more registries.
func TestScripts(t *testing.T) {
	frontends := testenv.StartRegistry(t, testenv.RegistryOptions{})
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) {
			daemon := testenv.SharedDaemon(t, kind)
			testscript.Run(t, testscript.Params{
				Dir: "testdata/script",
				Setup: func(e *testscript.Env) error {
					setUp(e, daemon)
					e.Setenv("FRONTENDS", frontends.Host)
					return nil
				},
				Cmds: map[string]func(*testscript.TestScript, bool, []string){
					"again":       cmdAgain,
					"exits":       cmdExits,
					"forwardable": cmdForwardable,
					"frontend":    cmdFrontend,
					"freeports":   cmdFreePorts,
					"resolve":     cmdResolve,
					"steps":       cmdSteps,
				},
			})
		})
	}
}

// testingKey is where a script's commands find its test.
type testingKey struct{}

func setUp(e *testscript.Env, daemon *testenv.Daemon) {
	t := e.T().(testing.TB)
	e.Values[testingKey{}] = t
	first, second := testenv.StartRegistry(t, testenv.RegistryOptions{}), testenv.StartDebianRegistry(t)
	testenv.Push(t, first.Host+"/library/busybox", testenv.OwnBusyboxImage(t))
	e.Setenv("REGISTRY", first.Host)
	e.Setenv("OTHER", second.Host)
	e.Setenv("BUILDKIT_HOST", daemon.Addr)
	e.Setenv("BUILDCTL", testenv.Binary(t, "buildctl"))
	e.Setenv("HOME", e.WorkDir)
	e.Setenv("DOCKER_CONFIG", e.WorkDir)
	e.Setenv("SEATRIAL_BUILD_CONTEXT", "busybox=docker-image://"+first.Host+"/library/busybox")
	e.Setenv("WEB", testenv.ServeFiles(t, filepath.Join(e.WorkDir, "web")))
	e.Setenv("GIT", testenv.ServeGit(t, filepath.Join(e.WorkDir, "git")))
	setUpSSH(e, t)
	setUpRegistries(e, t, first.Host)
	setUpSigstore(e, testenv.StartSigstore(t))
	e.Setenv("NONCE", strconv.FormatInt(time.Now().UnixNano(), 36)) // to make a step new to a shared daemon
}

// setUpSigstore has scripts say which of its parts to use.
func setUpSigstore(e *testscript.Env, s *testenv.Sigstore) {
	e.Setenv("FULCIO", s.URL)
	e.Setenv("FULCIO_UNLOGGED", s.Unlogged)
	e.Setenv("REKOR", s.URL)
	e.Setenv("SIGNING_CONFIG", s.SigningConfig)
	e.Setenv("TSA", s.TSA)
	e.Setenv("TRUSTED_ROOT", s.TrustedRoot)
	e.Setenv("ID_TOKEN", s.IDToken())
	e.Setenv("ID_TOKEN_URL", s.TokenURL)
	e.Setenv("ID_TOKEN_REQUEST", s.RequestToken)
	e.Setenv("IDENTITY", s.Identity)
	e.Setenv("ISSUER", s.Issuer)
}

// cmdExits is "exits CODE COMMAND ARG…": it runs the command and checks its exit
// code.
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARG…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code = %d, want %d", got, want)
	}
}

// cmdAgain is "again PATTERN COMMAND ARG…", for what ran before and is expected to come from
// the cache, of which standard error then tells. BuildKit unites the helper with that of
// other builds at the same time; as long as one goes on that has found it in a cache of its
// own, it does not find in the daemon's what follows. So the command is run until those are
// over.
func cmdAgain(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: again PATTERN COMMAND ARG…")
	}
	cached, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	for deadline := time.Now().Add(time.Minute); ; <-time.After(time.Second) {
		ts.Check(ts.Exec(args[1], args[2:]...))
		switch {
		case cached.MatchString(ts.ReadFile("stderr")):
			return
		case time.Now().After(deadline):
			ts.Fatalf("no match for %q after a minute", args[0])
		}
	}
}

// cmdResolve is "resolve VARIABLE REFERENCE": it sets the variable to the
// digest that a registry has for the reference, or to "none".
func cmdResolve(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: resolve VARIABLE REFERENCE")
	}
	ts.Setenv(args[0], resolve(ts.Fatalf, args[1]))
}

// cmdSteps is "steps COUNT NAME": it checks how many different steps of that name the
// last command showed with --progress rawjson. Lines of plain progress will not do
// for that: it names a step again each time that it comes back to it.
func cmdSteps(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: steps COUNT NAME")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	found := map[string]bool{}
	for _, line := range strings.Split(ts.ReadFile("stderr"), "\n") {
		var st client.SolveStatus
		if json.Unmarshal([]byte(line), &st) != nil {
			continue // the summary
		}
		for _, v := range st.Vertexes {
			if v.Name == args[1] {
				found[v.Digest.String()] = true
			}
		}
	}
	if len(found) != want {
		ts.Fatalf("%d steps are called %q, want %d", len(found), args[1], want)
	}
}

// resolve is the digest behind a reference, "none" if there is nothing.
func resolve(fatalf func(string, ...any), reference string) string {
	ref, err := name.ParseReference(reference)
	if err != nil {
		fatalf("%v", err)
	}
	desc, err := remote.Head(ref)
	if err != nil {
		if strings.Contains(err.Error(), "404") {
			return "none"
		}
		fatalf("%v", err)
	}
	return desc.Digest.String()
}

// setUpSSH serves the scripts' repositories by SSH.
func setUpSSH(e *testscript.Env, t testing.TB) {
	server := testenv.ServeGitSSH(t, filepath.Join(e.WorkDir, "git"))
	for name, key := range map[string]string{"key": server.Key, "stranger": testenv.SSHKey(t)} {
		if err := os.WriteFile(filepath.Join(e.WorkDir, name), []byte(key), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e.Setenv("GITSSH", server.URL)
}
