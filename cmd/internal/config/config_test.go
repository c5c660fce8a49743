package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatrial/seatrial/testsuite"
)

// variables are those of the tests.
func variables(name string) (string, error) {
	v, ok := map[string]string{"TAG": "1.2", "EMPTY": "", "git.short": "abc1234"}[name]
	if !ok {
		return "", fmt.Errorf("%s is not set", name)
	}
	return v, nil
}

func TestExpand(t *testing.T) {
	for _, test := range []struct{ in, want, err string }{
		{in: "plain", want: "plain"},
		{in: "${TAG}", want: "1.2"},
		{in: "v${TAG}-${git.short}!", want: "v1.2-abc1234!"},
		{in: "$TAG $ $$ {TAG} }", want: "$TAG $ $$ {TAG} }"},
		{in: "$${TAG}", want: "${TAG}"},
		{in: "${EMPTY}", want: ""},
		{in: "${EMPTY-a}${EMPTY:-b}", want: "b"},
		{in: "${NONE-a}${NONE:-b}${NONE:-}", want: "ab"},
		{in: "${NONE:-${EMPTY:-${TAG}}}", want: "1.2"},
		{in: "${git.tag:-${git.short}}", want: "abc1234"},
		{in: "${TAG:?say which}", want: "1.2"},
		{in: "${NONE}", err: "${NONE} has no value: NONE is not set"},
		{in: "${NONE:-${ALSO}}", err: "${ALSO} has no value: ALSO is not set"},
		{in: "${EMPTY:?say which}", err: "${EMPTY} has no value: say which"},
		{in: "${NONE?}", err: "${NONE} has no value: it is needed"},
		{in: "${git.commit}", err: "git.commit is not set"},
	} {
		parts, err := parseTemplate(test.in)
		if err != nil {
			t.Errorf("parseTemplate(%q) = %v", test.in, err)
			continue
		}
		got, err := expand(parts, variables)
		if got != test.want || fmt.Sprint(err) != "<nil>" && (test.err == "" || !strings.Contains(err.Error(), test.err)) || err == nil && test.err != "" {
			t.Errorf("expand(%q) = %q, %v, want %q, %s", test.in, got, err, test.want, test.err)
		}
	}
}

func TestErrorsHaveAPlace(t *testing.T) {
	for _, test := range []struct{ name, in, want, hint string }{
		{"unknown", "image: a\nbuild:\n  targte: b\n", `f:3:3: unknown key "targte"`, `did you mean "target"?`},
		{"a flag's name", "build: {build-arg: {A: 1}}", `f:1:9: unknown key "build-arg"`, "--build-arg is called args here"},
		{"beginning", "tests: [{run: a, retr: 5}]", `unknown key "retr"`, `did you mean "retries"?`},
		{"type", "build:\n  no-cache: maybe\n", `f:2:13: true or false is expected, not "maybe"`, ""},
		{"twice", "image: a\ntests: []\nimage: b\n", `f:3:1: key "image" is there twice, first in line 1`, ""},
		{"merged into itself", "x-a: &a\n  <<: *a\ntests:\n  - *a\n", "merged into itself", ""},
		{"two documents", "image: a\n---\nimage: b\n", "one document is expected", ""},
		{"not YAML", "image: a\n  tags: [\n", "f:2:7: not YAML: mapping values are not allowed in this context", ""},
		{"quote", "image: a\ntests:\n  - 'x\nbuild: {}\n", "f:3:5: not YAML: found unexpected end of stream", ""},
		{"anchor", "image: *a\n", "f:1:8: not YAML: unknown anchor 'a' referenced", ""},
		{"tag", "image: !secret a\n", "f:1:8: the tag !secret means nothing here", ""},
		{"size", "#" + strings.Repeat("a", maxBytes), "f:1:1: the file has more than 1048576 bytes", ""},
		{"cycle", "services:\n  a: {image: a, depends-on: [b]}\n  b: {image: b, depends-on: [a]}\n", "f:3:30: services wait for one another: a, which waits for b, which waits for a", "remove one of these dependencies; services find each other by name without any"},
		{"condition in short", "services: {a: {image: a, depends-on: {a: healthy}}}", `"healthy" is not one of`, `did you mean "service_healthy"?`},
		{"network", "services: {a: {image: a, network: backend}}", `"backend" is not one of none, default`, ""},
		{"published port", "services: {a: {image: a, ports: ['5432:5432']}}", `is expected, not "5432:5432"`, "a port is the number that the service listens at, alone: nothing is published"},
		{"two tests", "tests:\n  - {name: a, run: b}\n  - {name: a, run: c}\n", `f:3:12: two tests are called "a"; the first is in line 2`, "give one of them another name"},
		{"list of services", "services: [{name: db, image: a}]", "f:1:11: a mapping is expected, not a list", "write NAME: VALUE for each, without the -"},
		{"no service", "services: {db: {image: a}}\ntests:\n  - {run: a, services: [dp]}\n", `f:3:25: no service is called "dp"`, `did you mean "db"?`},
		{"nothing to do", "tests:\n  - name: a\n", "f:2:5: a test with neither command nor stage", "say what it does: run, args, stage or file"},
		{"service", "services:\n  db: {}\n", "f:2:7: a service without image or stage", "image: REFERENCE, stage: NAME, or from: built for the image under test"},
		{"condition", "services: {a: {image: a, depends-on: {a: service_helthy}}}", `"service_helthy" is not one of`, `did you mean "service_healthy"?`},
	} {
		_, err := Load("f", []byte(test.in))
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), test.want) || e.Hint != test.hint {
			t.Errorf("%s: Load() = %v, want %s with the hint %q", test.name, err, test.want, test.hint)
		}
	}
}

// TestAliasesAreBounded merges mappings that double in each line.
func TestAliasesAreBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString("x-0: &m0 {run: a}\n")
	for i := range 30 {
		fmt.Fprintf(&b, "x-%d: &m%d\n  <<: [*m%d, *m%d]\n", i+1, i+1, i, i)
	}
	b.WriteString("tests:\n  - *m30\n")
	_, err := Load("f", []byte(b.String()))
	if err == nil || !strings.Contains(err.Error(), "once its aliases are followed") {
		t.Errorf("Load() = %v, want an error about the number of values", err)
	}
}

func TestSettings(t *testing.T) {
	f, err := Load("sub/seatrial.yaml", []byte(`
image: [r/a, r/b:9, "${EMPTY}"]
tags: ["${TAG}", "${EMPTY}", latest]
build:
  dockerfile: docker/Dockerfile
  args: {A: 1, B: }
  contexts: {base: docker-image://busybox, src: ../src, layout: oci-layout://out:1}
  secrets: {token: {env: TOKEN}, key: {src: key}}
  ssh: [default, deploy=id_ed25519]
  cache-to: ["type=local,dest=.cache", "type=registry,ref=r/cache"]
  outputs: [out, "-"]
  target: ${NONE}
builder: {tlsdir: /etc/certs}
push: {attest-tests: false, sign: key=keys/cosign.key}
testing: {forwards: [db=localhost:1, db=localhost:2]}
`))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, s := range f.Settings(variables) {
		text := []string{}
		for _, v := range s.Values {
			text = append(text, v.Text)
		}
		got[s.Flag] = strings.Join(text, " ")
		if (s.Err != nil) != (s.Flag == "target") {
			t.Errorf("%s: error %v, want one for target alone", s.Key, s.Err)
		}
	}
	want := map[string]string{
		"tag": "r/a:1.2 r/a:latest r/b:9", "file": "sub/docker/Dockerfile", "build-arg": "A=1 B",
		"build-context": "base=docker-image://busybox src=src layout=oci-layout://sub/out:1",
		"secret":        "id=token,env=TOKEN id=key,src=sub/key", "ssh": "default deploy=sub/id_ed25519",
		"cache-to": "type=local,dest=sub/.cache type=registry,ref=r/cache", "output": "sub/out -",
		"target": "", "tlsdir": "/etc/certs",
		"attest-tests": "false", "sign": "key=sub/keys/cosign.key", "forward": "db=localhost:1 db=localhost:2",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Settings() (-want +got):\n%s", diff)
	}
}

func TestSuite(t *testing.T) {
	f, err := Load("seatrial.yaml", []byte(`
services:
  db: {image: "postgres:${TAG}", ready: {test: pg_isready, interval: 2s}}
  app: {from: built, depends-on: [db], ports: [80]}
tests:
  - echo ${TAG}
  - stage: lint
  - name: api
    run: curl app
    stage: tools
    env: {V: "${TAG}", TAG: , NONE: }
    mounts: [./t:/t:ro, {from: built, target: /image}]
    memory: 1m
    timeout: ${NONE:-1m}
    services: [app]
`))
	if err != nil {
		t.Fatal(err)
	}
	list, err := f.Suite(variables)
	if err != nil {
		t.Fatal(err)
	}
	var got []testsuite.Test
	for _, d := range list {
		got = append(got, d.Test)
	}
	want := []testsuite.Test{
		{Command: "echo ${TAG}"}, // the shell's business
		{Stage: "lint"},
		{
			Name: "api", Command: "curl app", From: testsuite.Source{Stage: "tools"}, Env: map[string]string{"V": "1.2", "TAG": "1.2"},
			Mounts: []testsuite.Mount{
				{Type: "bind", Target: "/t", From: testsuite.Source{Context: true}, Path: "./t", ReadOnly: true},
				{Type: "bind", Target: "/image"},
			},
			Memory: 1 << 20, Timeout: time.Minute,
			Services: []testsuite.Service{
				{Name: "app", Ports: []int{80}, DependsOn: []testsuite.Dependency{{Service: "db", Condition: testsuite.Healthy}}},
				{Name: "db", From: testsuite.Source{Image: "postgres:1.2"}, Ready: &testsuite.Probe{Test: []string{"CMD-SHELL", "pg_isready"}, Interval: 2 * time.Second}},
			},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Suite() (-want +got):\n%s", diff)
	}
	if got := f.Stages(variables); got["lint"].Line != 7 || got["tools"].Line != 10 {
		t.Errorf("Stages() = %v, want lint in line 7 and tools in line 10", got)
	}
}

// TestFiles has the tests of files be called as seatrial.yaml names these, and be found
// from where seatrial runs.
func TestFiles(t *testing.T) {
	f, err := Load("sub/seatrial.yaml", []byte("tests:\n  - file: [a.yaml, 'b-${TAG}.json']\n    retries: 2\n  - {name: all, file: /c.yaml}\n"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := f.Suite(variables)
	if err != nil {
		t.Fatal(err)
	}
	want := []Declared{
		{Test: testsuite.Test{Name: "a.yaml", Retries: 2}, File: "sub/a.yaml", FilePos: Pos{2, 12}, Pos: Pos{2, 5}},
		{Test: testsuite.Test{Name: "b-1.2.json", Retries: 2}, File: "sub/b-1.2.json", FilePos: Pos{2, 20}, Pos: Pos{2, 5}},
		{Test: testsuite.Test{Name: "all"}, File: "/c.yaml", FilePos: Pos{4, 23}, Pos: Pos{4, 5}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Suite() (-want +got):\n%s", diff)
	}
}

// TestVariablesAreCheckedAsWell has values that only their variables make wrong.
func TestVariablesAreCheckedAsWell(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"tests: [{run: a, timeout: '${TAG}'}]", `f:1:27: a duration, as 90s or 5m, is expected, not "1.2"`},
		{"tests: [{run: a, network: '${TAG}'}]", `f:1:27: "1.2" is not one of default, none, host`},
		{"tests: [{file: '${EMPTY}'}]", "f:1:16: the path of a file is expected, not an empty one"},
		{"tests: [{run: a, user: '${NONE}'}]", "f:1:24: ${NONE} has no value: NONE is not set"},
		{"services: {s: {image: a, ports: [70000]}}\ntests: [{run: a, services: [s]}]", "f:1:34: a port is a number from 1 to 65535"},
	} {
		f, err := Load("f", []byte(test.in))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Suite(variables); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("Suite() of %s = %v, want %s", test.in, err, test.want)
		}
	}
}
