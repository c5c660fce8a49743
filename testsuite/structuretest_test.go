package testsuite

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/testsuite/junit"
	"github.com/seatrial/seatrial/testsuite/structure"
)

// tryFile runs structure tests on an image, and renders what became of them.
func (b *builder) tryFile(t *testing.T, dockerfile, file string) ([]string, []structure.Result) {
	t.Helper()
	cfg, err := structure.Parse("structure.yaml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string { return "value of " + name }
	if err := cfg.ResolveEnv(getenv, os.ReadFile); err != nil {
		t.Fatal(err)
	}
	var results []structure.Result
	_, err = llb.Solve(context.Background(), b.client, llb.Options{
		Context:       testenv.Dir(t, "Dockerfile", dockerfile),
		NamedContexts: map[string]string{"busybox": "docker-image://" + b.image},
	}, llb.Phases{Try: func(ctx context.Context, trial *llb.Trial) error {
		target, err := structureOf(ctx, trial, trial.Images[0], cfg)
		if err == nil {
			results = structure.Run(ctx, cfg, target)
		}
		return err
	}})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, res := range results {
		out = append(out, strings.Join(append([]string{res.Name}, res.Errors...), " | "))
	}
	return out, results
}

func expectVerdicts(t *testing.T, got []string, want ...string) {
	t.Helper()
	if g, w := strings.Join(got, "\n  "), strings.Join(want, "\n  "); g != w {
		t.Errorf("got\n  %s\nwant\n  %s", g, w)
	}
}

const structureImage = `FROM busybox
RUN mkdir -p /data/sub && echo hello > /data/file && chown 1000:1000 /data/file && chmod 4754 /data/file && ln -s data /link && head -c 20971520 /dev/zero | tr '\0' x > /big && echo end >> /big
ENV WHO=world
WORKDIR /data
USER app
LABEL vendor=acme
EXPOSE 8080
VOLUME /data
ENTRYPOINT ["/bin/false"]
`

// TestStructureFiles looks at real files through a real daemon.
func TestStructureFiles(t *testing.T) {
	onEach(t, func(t *testing.T, b *builder) {
		got, _ := b.tryFile(t, structureImage, `
schemaVersion: 2.0.0
fileExistenceTests:
- {name: root, path: /, uid: 0, gid: 0}
- {name: file, path: /link/file, permissions: urwxr-xr--, uid: 1000, gid: 1000, isExecutableBy: group}
- {name: directory, path: /data/sub, permissions: drwxr-xr-x}
- {name: link, path: /bin/sh, permissions: Lrwxrwxrwx}
- {name: none, path: /data/nope/x, shouldExist: false}
- {name: hosts, path: /etc/hosts}
- {name: f there, path: /data/file, shouldExist: false}
- {name: f missing, path: /nope}
fileContentTests:
- {name: file, path: /link/file, expectedContents: ['^hello\n$']}
- {name: large, path: /big, expectedContents: ['xend\n$'], excludedContents: [y]}
- {name: f file, path: /data/file, expectedContents: [bye]}
metadataTest:
  envVars: [{key: WHO, value: world}]
  labels: [{key: vendor, value: acme}]
  exposedPorts: ["8080"]
  volumes: [/data]
  entrypoint: [/bin/false]
  workdir: /data
  user: app
`)
		expectVerdicts(t, got,
			"File Content Test: file", "File Content Test: large", `File Content Test: f file | expected "bye" is not in /data/file`,
			"File Existence Test: root", "File Existence Test: file", "File Existence Test: directory", "File Existence Test: link",
			"File Existence Test: none", "File Existence Test: hosts",
			"File Existence Test: f there | /data/file exists, and should not", "File Existence Test: f missing | /nope: no such file or directory",
			"Metadata Test")
	})
}

// TestStructureCommands runs commands: without the entrypoint, with the image's user
// and working directory, with all that they print, and each with files of its own.
func TestStructureCommands(t *testing.T) {
	onEach(t, func(t *testing.T, b *builder) {
		got, results := b.tryFile(t, structureImage, `
schemaVersion: 2.0.0
globalEnvVars: [{key: PATH, value: '/data/sub:$PATH'}, {key: GREETING, value: hello $WHO}]
commandTests:
- {name: plain, command: sh, args: [-c, 'id -un; pwd; echo "$GREETING"; echo no >&2; exit 3'], exitCode: 3,
   expectedOutput: ['^app\n/data\nhello world\n$'], expectedError: ['^no\n$']}
- {name: expanded, command: echo, args: [$WHO, '${NOPE}.'], expectedOutput: ['^world \.\n$']}
- {name: setup, command: cat, args: [/tmp/a, /tmp/b], expectedOutput: ['^one\ntwo\n$'],
   setup: [[sh, -c, 'echo $E > /tmp/a; exit 7'], [sh, -c, 'test -f /tmp/a && echo two > /tmp/b']], envVars: [{key: E, value: one}]}
- {name: of its own, command: test, args: ['!', -e, /tmp/a]}
- {name: much, command: sh, args: [-c, 'seq 1 500000'], expectedOutput: ['^1\n', '\n250000\n', '\n500000\n$']}
- {name: code, command: sh, args: [-c, 'exit 255'], exitCode: 255}
- {name: f code, command: 'false'}
- {name: f output, command: echo, args: [x], expectedOutput: [y]}
- {name: f missing, command: nope, exitCode: 1}
- {name: f setup, command: 'true', setup: [[nope]]}
- {name: f interpreter, command: /tmp/script, exitCode: 1, setup: [[sh, -c, 'printf "#!/nope\n" > /tmp/script; chmod 755 /tmp/script']]}
`)
		const path = "(/data/sub:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)"
		expectVerdicts(t, got[:len(got)-1],
			"Command Test: plain", "Command Test: expanded", "Command Test: setup", "Command Test: of its own", "Command Test: much",
			"Command Test: code",
			"Command Test: f code | exit code 1, expected 0", `Command Test: f output | expected "y" is not in stdout`,
			`Command Test: f missing | command "nope" is not in PATH `+path,
			`Command Test: f setup | setting up: command "nope" is not in PATH `+path)
		last := got[len(got)-1]
		if !strings.HasPrefix(last, "Command Test: f interpreter | starting /tmp/script: ") {
			t.Errorf("%s, want it not to start", last)
		}
		if out := string(results[0].Stdout) + string(results[0].Stderr); out != "app\n/data\nhello world\nno\n" {
			t.Errorf("the first test printed %q", out)
		}
	})
}

// TestStructureRunOptions: what tests get of our environment is in no step.
func TestStructureRunOptions(t *testing.T) {
	onEach(t, func(t *testing.T, b *builder) {
		got, _ := b.tryFile(t, structureImage, `
schemaVersion: 2.0.0
commandTests: [{name: x, command: sh, args: [-c, 'id -u; env'], envVars: [{key: E, value: lost}], expectedOutput: ['^0\n', '\nTOKEN=value of TOKEN\n'], excludedOutput: [lost]}]
containerRunOptions: {user: root, envVars: [TOKEN]}
`)
		expectVerdicts(t, got, "Command Test: x")
	})
}

// TestStructureOfNothing tests an image without any file.
func TestStructureOfNothing(t *testing.T) {
	onEach(t, func(t *testing.T, b *builder) {
		got, _ := b.tryFile(t, "FROM scratch\nLABEL a=b\n", `
schemaVersion: 2.0.0
commandTests: [{name: f, command: sh}]
fileExistenceTests: [{name: none, path: /bin/sh, shouldExist: false}, {name: root, path: /}]
metadataTest: {labels: [{key: a, value: b}]}
`)
		expectVerdicts(t, got,
			`Command Test: f | command "sh" is not in PATH (/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin); the image has no shell either`,
			"File Existence Test: none", "File Existence Test: root", "Metadata Test")
	})
}

func TestStructureReport(t *testing.T) {
	rep := structureReport("s.yaml", []structure.Result{
		{Name: "Metadata Test", Pass: true},
		{Name: "Command Test: x", Errors: []string{"exit code 1, expected 0", "no"}, Stdout: []byte("out"), Stderr: []byte("err")},
	})
	if rep.Count(junit.Passed) != 1 || rep.Count(junit.Failed) != 1 {
		t.Fatalf("%+v, want one passed and one failed", rep)
	}
	c := rep.Cases()[1]
	if c.Name != "Command Test: x" || c.Message != "exit code 1, expected 0\nno" || c.Stdout != "out" || c.Stderr != "err" || c.File != "s.yaml" {
		t.Errorf("case = %+v", c)
	}
}
