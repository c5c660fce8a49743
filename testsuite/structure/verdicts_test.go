package structure

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
)

// judged are tests whose names tell what becomes of them: "ok", or "no". Where it says
// "here" too, container-structure-test's tar driver has it the other way, by a mistake
// (see the package's comment) or since it is not Docker: it follows links out of the
// image, and has no files of a container.
const judged = `
schemaVersion: 2.0.0
globalEnvVars:
- {key: WHERE, value: /opt}
- {key: CHAIN, value: $WHERE/f}
fileExistenceTests:
- {name: ok plain, path: /opt/f}
- {name: ok relative, path: opt/f}
- {name: ok root, path: /}
- {name: ok slashes, path: //opt//f}
- {name: no such file, path: /opt/none}
- {name: ok missing, path: /opt/none, shouldExist: false}
- {name: ok missing with permissions, path: /opt/none, shouldExist: false, permissions: -rw-r--r--, isExecutableBy: owner, uid: 3}
- {name: no longer missing, path: /opt/f, shouldExist: false}
- {name: ok permissions, path: /opt/f, permissions: -rw-r--r--}
- {name: no such permissions, path: /opt/f, permissions: -rw-r-----}
- {name: no octal permissions, path: /opt/f, permissions: "0644"}
- {name: ok directory, path: /opt/d, permissions: drwxr-xr-x}
- {name: ok link, path: /opt/rel, permissions: Lrwxrwxrwx}
- {name: ok link with a slash here, path: /opt/dl/, permissions: drwxr-xr-x}
- {name: ok link with a dot here, path: /opt/dl/., permissions: drwxr-xr-x}
- {name: ok setuid, path: /opt/suid, permissions: urwxr-xr-x}
- {name: ok setgid, path: /opt/sgid, permissions: grwx--x--x}
- {name: no setgid as ls has it, path: /opt/sgid, permissions: -rwx--s--x}
- {name: ok sticky, path: /opt/sticky, permissions: dtrwxrwxrwx}
- {name: no sticky as ls has it, path: /opt/sticky, permissions: drwxrwxrwt}
- {name: ok no permissions, path: /opt/shut, permissions: "----------"}
- {name: ok FIFO here, path: /opt/fifo, permissions: prw-r--r--}
- {name: ok dangling, path: /opt/dangling}
- {name: no dangling, path: /opt/dangling, shouldExist: false}
- {name: ok loop, path: /opt/loop}
- {name: no way through a loop, path: /opt/loop/x}
- {name: ok nothing through a loop, path: /opt/loop/x, shouldExist: false}
- {name: ok through a link, path: /opt/dl/x}
- {name: ok through an absolute link here, path: /opt/absd/x}
- {name: no way through a file, path: /opt/f/x}
- {name: ok nothing through a file, path: /opt/f/x, shouldExist: false}
- {name: ok file with a slash, path: /opt/f/}
- {name: ok dots, path: /opt/d/../f}
- {name: ok dots after nothing, path: /opt/none/../f}
- {name: ok dots after a file, path: /opt/f/../d}
- {name: no dots after the link that they follow, path: /opt/deep/../y}
- {name: ok dots over the top here, path: /../../opt/f}
- {name: ok variable, path: $DIR/f}
- {name: ok variable in braces, path: "${DIR}/f"}
- {name: ok unset variable, path: $NOPE/opt/f}
- {name: ok global variable, path: $WHERE/f}
- {name: no chain of variables, path: /x$CHAIN}
- {name: no lone dollar, path: /opt/$}
- {name: no doubled dollar, path: /opt/$$DOLLAR}
- {name: ok space, path: /opt/with space}
- {name: no other case, path: /opt/F}
- {name: no glob, path: /opt/*}
- {name: ok owner, path: /opt/x710, isExecutableBy: owner}
- {name: ok group, path: /opt/x710, isExecutableBy: group}
- {name: no other, path: /opt/x710, isExecutableBy: other}
- {name: ok any, path: /opt/x710, isExecutableBy: any}
- {name: no owner, path: /opt/f, isExecutableBy: owner}
- {name: no any, path: /opt/f, isExecutableBy: any}
- {name: ok executable link, path: /opt/rel, isExecutableBy: other}
- {name: ok no owner asked for, path: /opt/f, uid: -1, gid: -1}
- {name: no such user, path: /opt/f, uid: -2}
- {name: no such group, path: /opt/f, gid: 4294967296}
- {name: ok file of a container here, path: /etc/hosts}
- {name: ok YAML 1.1, path: /opt/none, shouldExist: off}
fileContentTests:
- {name: ok plain, path: /opt/lines, expectedContents: [hello]}
- {name: ok nothing asked for, path: /opt/lines}
- {name: no such file, path: /opt/none}
- {name: no such file to exclude, path: /opt/none, excludedContents: [x]}
- {name: no directory, path: /opt/d, excludedContents: [x]}
- {name: ok empty pattern, path: /opt/lines, expectedContents: [""]}
- {name: no empty pattern, path: /opt/lines, excludedContents: [""]}
- {name: no line, path: /opt/lines, expectedContents: ['^hello$']}
- {name: ok line, path: /opt/lines, expectedContents: ['(?m)^hello$']}
- {name: no carriage return, path: /opt/lines, expectedContents: ['(?m)^b$']}
- {name: no dot for a line's end, path: /opt/lines, expectedContents: ['hello.b']}
- {name: ok dot for a line's end, path: /opt/lines, expectedContents: ['(?s)hello.b']}
- {name: ok excluded, path: /opt/lines, excludedContents: [bye]}
- {name: no excluded, path: /opt/lines, excludedContents: [hel]}
- {name: no both, path: /opt/lines, expectedContents: [hello], excludedContents: [hello]}
- {name: ok empty, path: /opt/f, expectedContents: ['^$']}
- {name: ok link, path: /opt/rel, expectedContents: [hello]}
- {name: ok absolute link here, path: /opt/abs, expectedContents: [hello]}
- {name: ok hard link, path: /opt/hard, expectedContents: [hello]}
- {name: no dangling, path: /opt/dangling, excludedContents: [x]}
- {name: no loop, path: /opt/loop, excludedContents: [x]}
- {name: ok bytes, path: /opt/bin, expectedContents: ['^..\x00bin$', '\x{FFFD}']}
- {name: no variable, path: $DIR/lines, expectedContents: [hello]}
- {name: ok dots after nothing, path: /opt/none/../lines, expectedContents: [hello]}
`

// judgedMetadata are metadata tests, of which a file has one, and what they come to.
var judgedMetadata = map[string]bool{
	`envVars: [{key: A, value: 1}, {key: EMPTY, value: ''}, {key: EMPTY}, {key: EQ, value: a=b}, {key: RE, value: '[a-z]+-2\.1', isRegex: true}]`: true,
	`envVars: [{key: EQ, value: a}]`:                          false,
	`envVars: [{key: A}]`:                                     false,
	`envVars: [{key: NOPE, value: ''}]`:                       false,
	`envVars: [{key: EMPTY, value: '', isRegex: true}]`:       true,
	`unboundEnvVars: [{key: NOPE}, {value: x}]`:               true,
	`unboundEnvVars: [{key: EMPTY}]`:                          false,
	`unboundEnvVars: [{key: A, value: other}]`:                false,
	`labels: [{key: l, value: 'my .+l', isRegex: true}]`:      true,
	`labels: [{key: l, value: 'my .+l'}]`:                     false,
	`labels: [{key: nope, value: ''}]`:                        false,
	`exposedPorts: [80, "53"]`:                                true,
	`exposedPorts: [80/tcp]`:                                  false,
	`exposedPorts: [81]`:                                      false,
	`unexposedPorts: [81, '']`:                                true,
	`unexposedPorts: [53]`:                                    false,
	`entrypoint: [/run, -x]`:                                  true,
	`entrypoint: [/run]`:                                      false,
	`entrypoint: []`:                                          false,
	`cmd: []`:                                                 true,
	`cmd: [x]`:                                                false,
	`{workdir: /app, user: '1001:1002'}`:                      true,
	`workdir: /app/`:                                          false,
	`user: 1001`:                                              false,
	`{volumes: [/data, /x/], unmountedVolumes: [/root, '']}`:  true,
	`volumes: [/data/]`:                                       false,
	`unmountedVolumes: [/data]`:                               false,
	`{entrypoint: [/run, -x], cmd: , workdir: '', volumes: }`: true,
}

// refused are files that are no tests, by their names. Those that container-structure-test
// takes have "here" in their names.
var refused = map[string]string{
	"version.yaml":        `fileExistenceTests: [{name: a, path: /opt/f}]`,
	"next.yaml":           `{schemaVersion: 3.0.0, fileExistenceTests: [{name: a, path: /opt/f}]}`,
	"short.yaml":          `{schemaVersion: 2.0, fileExistenceTests: [{name: a, path: /opt/f}]}`,
	"empty.yaml":          ``,
	"nothing.yaml":        `schemaVersion: 2.0.0`,
	"metadata.yaml":       `{schemaVersion: 2.0.0, metadataTest: {workdir: '', entrypoint: , volumes: []}}`,
	"key.yaml":            `{schemaVersion: 2.0.0, x-a: 1, fileExistenceTests: [{name: a, path: /opt/f}]}`,
	"inner.yaml":          `{schemaVersion: 2.0.0, fileExistenceTests: [{name: a, path: /opt/f, mode: x}]}`,
	"case.yaml":           `{schemaVersion: 2.0.0, metadataTest: {Workdir: /app}}`,
	"twice.yaml":          `{schemaVersion: 2.0.0, fileExistenceTests: [{name: a, path: /opt/f, path: /opt/f}]}`,
	"mapping.yaml":        `{schemaVersion: 2.0.0, fileExistenceTests: {name: a, path: /opt/f}}`,
	"list.yaml":           `{schemaVersion: 2.0.0, fileContentTests: [{name: a, path: /opt/f, expectedContents: ''}]}`,
	"quoted.yaml":         `{schemaVersion: 2.0.0, fileExistenceTests: [{name: a, path: /opt/f, shouldExist: "yes"}]}`,
	"uid.yaml":            `{schemaVersion: 2.0.0, fileExistenceTests: [{name: a, path: /opt/f, uid: root}]}`,
	"null.yaml":           `{schemaVersion: 2.0.0, fileExistenceTests: [{name: a, path: /opt/f, shouldExist: }]}`,
	"null uid.yaml":       `{schemaVersion: 2.0.0, fileExistenceTests: [{name: a, path: /opt/f, uid: }]}`,
	"name.yaml":           `{schemaVersion: 2.0.0, fileExistenceTests: [{path: /opt/f}]}`,
	"path.yaml":           `{schemaVersion: 2.0.0, fileExistenceTests: [{name: a}]}`,
	"by.yaml":             `{schemaVersion: 2.0.0, fileExistenceTests: [{name: a, path: /opt/f, isExecutableBy: me}]}`,
	"regexp.yaml":         `{schemaVersion: 2.0.0, fileContentTests: [{name: a, path: /opt/f, excludedContents: ['(']}]}`,
	"value.yaml":          `{schemaVersion: 2.0.0, metadataTest: {envVars: [{value: x}]}}`,
	"port.yaml":           `{schemaVersion: 2.0.0, metadataTest: {exposedPorts: ['']}}`,
	"command.yaml":        `{schemaVersion: 2.0.0, commandTests: [{name: a}]}`,
	"setup.yaml":          `{schemaVersion: 2.0.0, commandTests: [{name: a, command: b, setup: [[]]}]}`,
	"teardown.yaml":       `{schemaVersion: 2.0.0, commandTests: [{name: a, command: b, teardown: [[]]}]}`,
	"variable.yaml":       `{schemaVersion: 2.0.0, commandTests: [{name: a, command: b, envVars: [{key: c}]}]}`,
	"options.yaml":        `{schemaVersion: 2.0.0, containerRunOptions: {tty: true}, fileContentTests: [{name: a, path: /opt/f}]}`,
	"tab.yaml":            "schemaVersion: 2.0.0\n\tx: 1",
	"first.yaml":          `{schemaVersion: 1.0.0, metadataTest: {workdir: /app}}`,
	"first uid.yaml":      `{schemaVersion: 1.0.0, fileExistenceTests: [{name: a, path: /opt/f, uid: 0}]}`,
	"syntax.json":         `{"schemaVersion": "2.0.0", "fileContentTests": [{"name": "a", "path": "/opt/f"},]}`,
	"more.json":           `{"schemaVersion": "2.0.0", "fileContentTests": [{"name": "a", "path": "/opt/f"}]} x`,
	"type.json":           `{"schemaVersion": "2.0.0", "fileContentTests": [{"name": 5, "path": "/opt/f"}]}`,
	"null.json":           `{"schemaVersion": "2.0.0", "fileExistenceTests": [{"name": "a", "path": "/opt/f", "shouldExist": null}]}`,
	"documents here.yaml": "schemaVersion: 2.0.0\nfileContentTests: [{name: a, path: /opt/f}]\n---\nb: 1",
	"first here.yaml":     `{schemaVersion: 1.0.0, fileExistenceTests: [{name: a}]}`,
	"by here.yaml":        `{schemaVersion: 2.0.0, fileExistenceTests: [{name: a, path: /none, shouldExist: false, isExecutableBy: me}]}`,
	"options here.yaml":   `{schemaVersion: 2.0.0, containerRunOptions: {privileged: true}, fileContentTests: [{name: a, path: /opt/f}]}`,
	"key here.json":       `{"schemaVersion": "2.0.0", "x-a": 1, "fileContentTests": [{"name": "a", "path": "/opt/f"}]}`,
	"twice here.json":     `{"schemaVersion": "2.0.0", "fileContentTests": [{"name": "a", "path": "/x", "path": "/opt/f"}]}`,
	"exist here.json":     `{"schemaVersion": "2.0.0", "fileExistenceTests": [{"name": "a", "path": "/opt/none"}]}`,
}

func judgedImage(t *testing.T) *image {
	t.Helper()
	i := newImage(t, map[string]string{
		"opt/f": "", "opt/lines": "hello\nb\r\nlast", "opt/bin": "\xff\xfe\x00bin", "opt/with space": "", "opt/d/x": "", "opt/d/e/": "", "opt/d/y": "",
		"opt/suid": "", "opt/sgid": "", "opt/x710": "", "opt/shut": "", "opt/sticky/": "",
		"opt/rel -> lines": "", "opt/abs -> /opt/lines": "", "opt/dl -> d": "", "opt/absd -> /opt/d": "", "opt/deep -> d/e": "",
		"opt/dangling -> nowhere": "", "opt/loop -> loop": "",
	})
	for name, mode := range map[string]os.FileMode{
		"suid": os.ModeSetuid | 0o755, "sgid": os.ModeSetgid | 0o711, "x710": 0o710, "sticky": os.ModeSticky | 0o777, "shut": 0,
	} {
		if err := os.Chmod(filepath.Join(i.root, "opt", name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmp.Or(unix.Mkfifo(filepath.Join(i.root, "opt/fifo"), 0o644), os.Link(filepath.Join(i.root, "opt/lines"), filepath.Join(i.root, "opt/hard"))); err != nil {
		t.Fatal(err)
	}
	i.config = ocispecs.ImageConfig{
		Env: []string{"PATH=/bin", "A=1", "EMPTY=", "EQ=a=b", "RE=test-2.1.8", "DIR=/opt"}, Labels: map[string]string{"l": "my label"},
		ExposedPorts: map[string]struct{}{"80/tcp": {}, "53/udp": {}}, Volumes: map[string]struct{}{"/data": {}, "/x/": {}},
		Entrypoint: []string{"/run", "-x"}, WorkingDir: "/app", User: "1001:1002",
	}
	return i
}

// TestVerdicts holds verdicts against those of container-structure-test, which
// `make structure` compares with the real one.
func TestVerdicts(t *testing.T) {
	i := judgedImage(t)
	for _, res := range runFile(t, judged, i) {
		if want := strings.Contains(res.Name, ": ok "); res.Pass != want {
			t.Errorf("%s: %t %q", res.Name, res.Pass, res.Errors)
		}
	}
	for test, want := range judgedMetadata {
		if res := runFile(t, "schemaVersion: 2.0.0\nmetadataTest:\n  "+test, i)[0]; res.Pass != want {
			t.Errorf("%s: %t %q", test, res.Pass, res.Errors)
		}
	}
	for name, data := range refused {
		if _, err := Parse(name, []byte(data)); err == nil {
			t.Errorf("%s is not refused: %s", name, data)
		}
	}
}

func runFile(t *testing.T, file string, i *image) []Result {
	t.Helper()
	cfg, err := Parse("s.yaml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	return Run(context.Background(), cfg, i)
}
