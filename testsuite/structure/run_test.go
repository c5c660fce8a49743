package structure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	cacheutil "github.com/moby/buildkit/cache/util"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	fstypes "github.com/tonistiigi/fsutil/types"
)

// image is a directory as an image: its files are read by what the daemon reads them
// with, and of errors the text remains, as of those that the daemon returns.
type image struct {
	root   string
	config ocispecs.ImageConfig
	exec   func(Command) (Output, error)

	mu    sync.Mutex
	lists map[string]int // directories, and how often they were listed
	reads int
	fail  string // a directory that cannot be listed
}

func (i *image) Config() ocispecs.ImageConfig { return i.config }

func (i *image) ReadDir(ctx context.Context, req gateway.ReadDirRequest) ([]*fstypes.Stat, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.lists == nil {
		i.lists = map[string]int{}
	}
	i.lists[req.Path]++
	if req.Path == i.fail {
		return nil, errors.New("connection lost")
	}
	list, err := cacheutil.ReadDir(ctx, i.root, cacheutil.ReadDirRequest{Path: req.Path})
	return list, textOf(err)
}

func (i *image) ReadFile(ctx context.Context, req gateway.ReadRequest) ([]byte, error) {
	i.mu.Lock()
	i.reads++
	i.mu.Unlock()
	r := cacheutil.ReadRequest{Filename: req.Filename}
	if req.Range != nil {
		r.Range = &cacheutil.FileRange{Offset: req.Range.Offset, Length: req.Range.Length}
	}
	data, err := cacheutil.ReadFile(ctx, i.root, r, 16<<20-1)
	return data, textOf(err)
}

func (i *image) StatFile(ctx context.Context, req gateway.StatRequest) (*fstypes.Stat, error) {
	st, err := cacheutil.StatFile(ctx, i.root, req.Path)
	return st, textOf(err)
}

func (i *image) Exec(_ context.Context, c Command) (Output, error) { return i.exec(c) }

func textOf(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(err.Error())
}

// newImage makes files of "path" and content; a directory of "path/", a link of
// "path -> target".
func newImage(t *testing.T, files map[string]string) *image {
	t.Helper()
	root := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range files {
		p := filepath.Join(root, name)
		from, target, link := strings.Cut(name, " -> ")
		switch {
		case link:
			p = filepath.Join(root, from)
			must(os.MkdirAll(filepath.Dir(p), 0o755))
			must(os.Symlink(target, p))
		case strings.HasSuffix(name, "/"):
			must(os.MkdirAll(p, 0o755))
		default:
			must(os.MkdirAll(filepath.Dir(p), 0o755))
			must(os.WriteFile(p, []byte(content), 0o644))
		}
	}
	return &image{root: root}
}

// verdicts runs tests, and renders what became of them.
func verdicts(t *testing.T, file string, i *image) []string {
	t.Helper()
	cfg, err := Parse("s.yaml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, res := range Run(context.Background(), cfg, i) {
		if res.Pass != (len(res.Errors) == 0) {
			t.Errorf("%s: Pass = %t with the errors %q", res.Name, res.Pass, res.Errors)
		}
		out = append(out, strings.Join(append([]string{res.Name}, res.Errors...), " | "))
	}
	return out
}

func expect(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestFileExistence(t *testing.T) {
	i := newImage(t, map[string]string{
		"usr/bin/tool": "", "etc/conf": "", "bin -> usr/bin": "", "etc/abs -> /usr/bin": "", "etc/loop -> loop": "",
		"etc/up -> ../../../usr/bin/tool": "", "etc/dangling -> nowhere/x": "", "tmp/": "",
	})
	i.config.Env = []string{"DIR=/usr", "X=1"}
	for name, mode := range map[string]os.FileMode{"usr/bin/tool": os.ModeSetuid | 0o754, "tmp": os.ModeSticky | 0o777} {
		if err := os.Chmod(filepath.Join(i.root, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	uid := os.Getuid()
	expect(t, verdicts(t, fmt.Sprintf(`
schemaVersion: 2.0.0
globalEnvVars: [{key: TOOL, value: $DIR/bin/tool}]
fileExistenceTests:
- {name: root, path: /, uid: %d}
- {name: there, path: /etc/conf, permissions: -rw-r--r--}
- {name: in a linked directory, path: /bin/tool, isExecutableBy: owner, uid: %d}
- {name: in one linked by an absolute path, path: /etc/abs/tool}
- {name: a link, path: /etc/dangling, permissions: Lrwxrwxrwx}
- {name: the end of a link, path: /etc/dangling/, shouldExist: false}
- {name: through a link out of the image, path: /etc/up/, permissions: urwxr-xr--}
- {name: through no directory, path: /etc/conf/x, shouldExist: false}
- {name: not there, path: /nowhere/at/all, shouldExist: false}
- {name: variables, path: $TOOL}
- {name: no such variable, path: /etc$NOPE/conf}
- {name: no slash, path: etc/conf}
- {name: sticky, path: /tmp, permissions: dtrwxrwxrwx, isExecutableBy: any}
- {name: a container has it, path: /etc/hosts}
- {name: dots, path: /usr/./bin/../bin/tool, isExecutableBy: group}
- {name: f missing, path: /etc/nope}
- {name: f there, path: /etc/conf, shouldExist: false}
- {name: f mode, path: /etc/conf, permissions: -rwxr-xr-x}
- {name: f owner, path: /etc/conf, uid: %d, gid: 99999}
- {name: f any, path: /etc/conf, isExecutableBy: any}
- {name: f other, path: /usr/bin/tool, isExecutableBy: other}
- {name: f loop, path: /etc/loop/x}
`, uid, uid, uid+1), i), []string{
		"File Existence Test: root", "File Existence Test: there", "File Existence Test: in a linked directory",
		"File Existence Test: in one linked by an absolute path", "File Existence Test: a link",
		"File Existence Test: the end of a link", "File Existence Test: through a link out of the image",
		"File Existence Test: through no directory", "File Existence Test: not there", "File Existence Test: variables",
		"File Existence Test: no such variable", "File Existence Test: no slash", "File Existence Test: sticky",
		"File Existence Test: a container has it", "File Existence Test: dots",
		"File Existence Test: f missing | /etc/nope: no such file or directory",
		"File Existence Test: f there | /etc/conf exists, and should not",
		"File Existence Test: f mode | /etc/conf has the permissions -rw-r--r--, expected -rwxr-xr-x",
		fmt.Sprintf("File Existence Test: f owner | /etc/conf belongs to user %d, expected %d | /etc/conf belongs to group %d, expected 99999", uid, uid+1, os.Getgid()),
		"File Existence Test: f any | /etc/conf is not executable by any: it has the permissions -rw-r--r--",
		"File Existence Test: f other | /usr/bin/tool is not executable by other: it has the permissions urwxr-xr--",
		"File Existence Test: f loop | /etc/loop/x: too many levels of symbolic links",
	})
	for dir, n := range i.lists {
		if n > 1 {
			t.Errorf("%s was listed %d times, want once", dir, n)
		}
	}
}

// TestUnreadable tells a file that is not there from one that nobody could look for.
func TestUnreadable(t *testing.T) {
	i := newImage(t, map[string]string{"etc/conf": ""})
	i.fail = "/etc"
	expect(t, verdicts(t, `
schemaVersion: 2.0.0
fileExistenceTests: [{name: x, path: /etc/conf, shouldExist: false}]
fileContentTests: [{name: x, path: /etc/conf}]
licenseTests: [{debian: true, files: [/etc/conf]}]
`, i), []string{
		"File Content Test: x | reading /etc/conf: reading directory /etc: connection lost",
		"File Existence Test: x | /etc/conf: reading directory /etc: connection lost",
		"License Test | reading /usr/share/doc: no such file or directory",
	})
}

func TestFileContent(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 20<<20/16)
	i := newImage(t, map[string]string{
		"etc/os": "NAME=x\nID=debian\n", "etc/rel -> os": "", "etc/deep/rel -> ../rel": "", "big": big + "\nend\n", "etc/gone -> /nope": "",
	})
	expect(t, verdicts(t, `
schemaVersion: 2.0.0
fileContentTests:
- {name: plain, path: /etc/os, expectedContents: ['ID=deb.an', '(?m)^NAME=x$'], excludedContents: [ubuntu]}
- {name: link, path: /etc/deep/rel, expectedContents: [debian]}
- {name: large, path: /big, expectedContents: ['f\nend\n$']}
- {name: provided, path: /etc/hosts, excludedContents: ['.']}
- {name: f both, path: /etc/os, expectedContents: [ubuntu, x], excludedContents: [deb]}
- {name: f directory, path: /etc}
- {name: f missing, path: /etc/nope}
- {name: f dangling, path: /etc/gone}
`, i), []string{
		"File Content Test: plain", "File Content Test: link", "File Content Test: large", "File Content Test: provided",
		`File Content Test: f both | expected "ubuntu" is not in /etc/os | excluded "deb" is in /etc/os, in line 2`,
		"File Content Test: f directory | reading /etc: it is a directory, not a file",
		"File Content Test: f missing | reading /etc/nope: no such file or directory",
		"File Content Test: f dangling | reading /etc/gone: no such file or directory",
	})
}

func TestLicenses(t *testing.T) {
	const doc = "usr/share/doc/"
	i := newImage(t, map[string]string{
		doc + "good/copyright": "GPL-2", doc + "link -> good": "", doc + "file": "AGPL", doc + "libgnutls30/copyright": "AGPL", "mine": "MIT",
	})
	const file = "schemaVersion: 2.0.0\nlicenseTests: [{debian: true, files: [/mine]}]\n"
	expect(t, verdicts(t, file, i), []string{"License Test"})

	i = newImage(t, map[string]string{doc + "bad/copyright": "the wtfpl", doc + "none/": "", "mine": "GNU aGpL, WTFPL"})
	expect(t, verdicts(t, file, i), []string{"License Test | license " + "/usr/share/doc/bad/copyright has WTFPL | " +
		"reading license /usr/share/doc/none/copyright: no such file or directory | license /mine has AGPL"})
}

func TestMetadata(t *testing.T) {
	i := newImage(t, nil)
	i.config = ocispecs.ImageConfig{
		Env: []string{"A=1", "EMPTY=", "EQ=a=b", "RE=test-2.1.8"}, Labels: map[string]string{"l": "my label", "e": ""},
		ExposedPorts: map[string]struct{}{"80/tcp": {}, "53/udp": {}}, Volumes: map[string]struct{}{"/data": {}},
		Entrypoint: []string{"/run"}, WorkingDir: "/app", User: "app",
	}
	expect(t, verdicts(t, `
schemaVersion: 2.0.0
globalEnvVars: [{key: GLOBAL, value: x}]
metadataTest:
  envVars: [{key: A, value: 1}, {key: EMPTY, value: ''}, {key: EQ, value: a=b}, {key: RE, value: '[a-z]+-2\.1\.*', isRegex: true}]
  unboundEnvVars: [{key: NOPE}, {key: GLOBAL}]
  labels: [{key: l, value: 'my .+l$', isRegex: true}, {key: e, value: ''}]
  exposedPorts: [80, "53"]
  unexposedPorts: [8080]
  volumes: [/data]
  unmountedVolumes: [/root]
  entrypoint: [/run]
  cmd: []
  workdir: /app
  user: app
`, i), []string{"Metadata Test"})
	expect(t, verdicts(t, `
schemaVersion: 2.0.0
metadataTest:
  envVars: [{key: A, value: 2}, {key: NOPE, value: ''}, {key: RE, value: ^2, isRegex: true}]
  unboundEnvVars: [{key: EMPTY}]
  labels: [{key: x, value: ''}, {key: l, value: l}]
  exposedPorts: [8080]
  unexposedPorts: [80]
  volumes: [/root]
  unmountedVolumes: [/data]
  entrypoint: []
  cmd: [x]
  workdir: /
  user: root
`, i), []string{strings.Join([]string{
		"Metadata Test", `environment variable A is not "2"`, "environment variable NOPE is not set", `environment variable RE does not match "^2"`,
		"environment variable EMPTY is set, and should not be", "label x is not set", `label l is not "l"`,
		`cmd is [], expected ["x"]`, `entrypoint is ["/run"], expected []`, `workdir is "/app", expected "/"`, `user is "app", expected "root"`,
		"port 8080 is not exposed", "port 80 is exposed, and should not be", "volume /root is not exposed", "volume /data is exposed, and should not be",
	}, " | ")})
}

func TestCommandVerdicts(t *testing.T) {
	i := newImage(t, nil)
	i.exec = func(c Command) (Output, error) {
		switch c.Args[0] {
		case "fail":
			return Output{Stdout: []byte("out\nmore\n"), Stderr: []byte("err\n"), ExitCode: 3}, nil
		case "none":
			return Output{}, errors.New(`command "none" is not in PATH`)
		}
		return Output{Stdout: []byte("hello\n")}, nil
	}
	expect(t, verdicts(t, `
schemaVersion: 2.0.0
commandTests:
- {name: ok, command: ok, expectedOutput: ['^hello\n$'], expectedError: ['^$'], excludedOutput: [bye]}
- {name: fails well, command: fail, exitCode: 3, expectedOutput: [out, more], expectedError: [err], excludedError: [out]}
- {name: f code, command: fail}
- {name: f patterns, command: fail, exitCode: 3, expectedOutput: [err], excludedOutput: [more], expectedError: [x], excludedError: [err]}
- {name: f missing, command: none, exitCode: 1}
`, i), []string{
		"Command Test: ok", "Command Test: fails well", "Command Test: f code | exit code 3, expected 0",
		`Command Test: f patterns | expected "x" is not in stderr | excluded "err" is in stderr, in line 1 | expected "err" is not in stdout | excluded "more" is in stdout, in line 2`,
		`Command Test: f missing | command "none" is not in PATH`,
	})
}

// TestCommandEnvironment holds what a command gets against what Docker's would.
func TestCommandEnvironment(t *testing.T) {
	for _, test := range []struct {
		name, file string
		want       Command
	}{
		{"schema 2", `{schemaVersion: 2.0.0, globalEnvVars: [{key: PATH, value: '/v:$PATH'}, {key: G, value: $A$PATH}],
			commandTests: [{name: x, command: $A, args: ['$PATH', '${NOPE}x', $E], envVars: [{key: E, value: $A}]}]}`,
			Command{Args: []string{"1", "/v:/bin", "x", ""}, Env: []string{"PATH=/v:/bin", "A=1", "G=1/bin", "E=$A"}}},
		{"setup", `{schemaVersion: 2.0.0, commandTests: [{name: x, command: c, args: [$E], setup: [[s, $A]], envVars: [{key: E, value: $A}]}]}`,
			Command{Setup: [][]string{{"s", "$A"}}, SetupEnv: []string{"PATH=/bin", "A=1", "E=1"}, Args: []string{"c", "1"}, Env: []string{"PATH=/bin", "A=1", "E=$A"}}},
		{"options", `{schemaVersion: 2.0.0, containerRunOptions: {user: app, envVars: [FROM_US, UNSET]}, commandTests: [{name: x, command: c, envVars: [{key: E, value: 1}]}]}`,
			Command{Args: []string{"c"}, User: "app", Env: []string{"PATH=/bin", "A=1", "FROM_US=us"}}},
		{"schema 1", `{schemaVersion: 1.0.0, globalEnvVars: [{key: G, value: 1}], commandTests: [{name: x, command: [c, $A], envVars: [{key: E, value: 1}]}]}`,
			Command{Args: []string{"c", "1"}, Env: []string{"PATH=/bin", "A=1", "E=1"}}},
		{"schema 1 with setup", `{schemaVersion: 1.0.0, globalEnvVars: [{key: G, value: 1}], commandTests: [{name: x, command: [c], setup: [[s]]}]}`,
			Command{Setup: [][]string{{"s"}}, SetupEnv: []string{"PATH=/bin", "A=1", "G=1"}, Args: []string{"c"}, Env: []string{"PATH=/bin", "A=1", "G=1"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg, err := Parse("s.yaml", []byte(test.file))
			if err != nil {
				t.Fatal(err)
			}
			getenv := func(name string) string { return map[string]string{"FROM_US": "us", "E": "2"}[name] }
			if err := cfg.ResolveEnv(getenv, os.ReadFile); err != nil {
				t.Fatal(err)
			}
			i := newImage(t, nil)
			i.config.Env = []string{"PATH=/bin", "A=1"}
			i.exec = func(c Command) (Output, error) {
				if fmt.Sprintf("%q", c) != fmt.Sprintf("%q", test.want) {
					t.Errorf("Exec(%q), want %q", c, test.want)
				}
				return Output{}, nil
			}
			Run(context.Background(), cfg, i)
		})
	}
}

// TestManyFiles looks at many files with few requests.
func TestManyFiles(t *testing.T) {
	files := map[string]string{}
	tests := "schemaVersion: 2.0.0\nfileExistenceTests:\n"
	for n := range 200 {
		name := fmt.Sprintf("dir%d/file%d", n%4, n)
		files[name] = ""
		tests += "- {name: x, path: /" + name + "}\n"
	}
	i := newImage(t, files)
	for _, v := range verdicts(t, tests, i) {
		if v != "File Existence Test: x" {
			t.Errorf("%s", v)
		}
	}
	if len(i.lists) != 5 || i.reads != 0 {
		t.Errorf("%d directories listed and %d files read, want 5 and 0", len(i.lists), i.reads)
	}
}

func TestLookPath(t *testing.T) {
	i := newImage(t, map[string]string{"usr/bin/tool": "", "bin -> usr/bin": "", "app/run": "", "usr/bin/plain": "", "sbin/dir/": ""})
	for _, name := range []string{"usr/bin/tool", "app/run"} {
		if err := os.Chmod(filepath.Join(i.root, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"PATH=/sbin:/nowhere:/bin"}
	for name, want := range map[string]string{
		"tool": "", "/bin/tool": "", "./run": "", "../usr/bin/tool": "",
		"plain":      `command "plain" is not in PATH (/sbin:/nowhere:/bin); the image has no shell either`,
		"dir":        `command "dir" is not in PATH (/sbin:/nowhere:/bin); the image has no shell either`,
		"/bin/plain": "command /bin/plain: it is not executable",
		"./tool":     "command /app/tool: no such file or directory",
	} {
		got := ""
		if err := LookPath(context.Background(), i, name, "/app", env); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("LookPath(%s) = %q, want %q", name, got, want)
		}
	}
}
