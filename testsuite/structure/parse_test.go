package structure

import (
	"strings"
	"testing"
)

func TestDetect(t *testing.T) {
	for data, want := range map[string]bool{
		"schemaVersion: 2.0.0\n":               true,
		"commandTests: []\n":                   true,
		`{"SchemaVersion": "2.0.0"}`:           true,
		"schemaVersion: 2.0.0\nx: [\n":         true, // so that Parse says what is wrong
		"services:\n  sut:\n    image: x\n":    false,
		"sut:\n  image: x\n":                   false,
		"services: {}\nschemaVersion: 2.0.0\n": false,
		"":                                     false,
		"- a\n":                                false,
		"a: &a {<<: *a}\n":                     false,
		"&a\na: b\n<<: *a\n":                   false,
	} {
		if got := Detect([]byte(data)); got != want {
			t.Errorf("Detect(%q) = %t, want %t", data, got, want)
		}
	}
}

// TestParseErrors holds what is wrong against where it is.
func TestParseErrors(t *testing.T) {
	const v2, v1 = "schemaVersion: '2.0.0'\n", "schemaVersion: '1.0.0'\n"
	for _, test := range []struct {
		name, file, data string
		want             []string // lines
	}{
		{"empty", "s.yaml", "", []string{"s.yaml:1:1: the file is empty"}},
		{"no mapping", "s.yaml", "- a\n", []string{`s.yaml:1:1: want a mapping with schemaVersion and tests, have a list`}},
		{"syntax", "s.yaml", v2 + "commandTests:\n- name: 'x'\n   command: y\n", []string{"s.yaml:4:4: did not find expected key"}},
		{"quote", "s.yaml", v2 + "commandTests:\n- name: 'x\n  command: y\n", []string{"s.yaml:3:9: found unexpected end of stream"}},
		{"tab", "s.yaml", v2 + "\tx: 1\n", []string{"s.yaml:2:1: found character that cannot start any token"}},
		{"no version", "s.yaml", "commandTests: []\n", []string{`s.yaml:1:1: no schemaVersion: the current one is "2.0.0"`}},
		{"version", "s.yaml", "schemaVersion: 3.0.0\n", []string{`s.yaml:1:16: unknown schemaVersion "3.0.0": want "2.0.0" or "1.0.0"`}},
		{"no tests", "s.yaml", v2 + "metadataTest: {}\n", []string{"s.yaml:1:1: there are no tests in it"}},
		{"two documents", "s.yaml", v2 + "---\n" + v2, []string{"s.yaml:2:1: a second document: a file of structure tests has one"}},
		{"unknown key", "s.yaml", v2 + "comandTests:\n- name: x\n", []string{`s.yaml:2:1: unknown key "comandTests"; did you mean "commandTests"?`}},
		{"unknown inner key", "s.yaml", v2 + "commandTests:\n- name: x\n  command: y\n  expectOutput: [z]\n  zzzzzzzz: 1\n", []string{
			`s.yaml:5:3: unknown key "expectOutput" in commandTests[0]; did you mean "expectedOutput"?`,
			`s.yaml:6:3: unknown key "zzzzzzzz" in commandTests[0]; there are args, command, `,
		}},
		{"twice", "s.yaml", v2 + "metadataTest:\n  user: a\n  user: b\n", []string{`s.yaml:4:3: key "user" in metadataTest is there twice, first in line 3`}},
		{"types", "s.yaml", v2 + "commandTests:\n- name: [x]\n  command: y\n  args: -c\n  exitCode: one\nfileExistenceTests: {}\nmetadataTest: []\n", []string{
			`s.yaml:3:9: commandTests[0].name: want a string, have a list`,
			`s.yaml:5:9: commandTests[0].args: want a list, have "-c"`,
			`s.yaml:6:13: commandTests[0].exitCode: want a whole number, have "one"`,
			`s.yaml:7:21: fileExistenceTests: want a list, have a mapping`,
			`s.yaml:8:15: metadataTest: want a mapping, have a list`,
		}},
		{"version 1 is another schema", "s.yaml", v1 + "commandTests:\n- name: x\n  command: y\nmetadataTest: {}\n", []string{
			`s.yaml:4:12: commandTests[0].command: want a list, have "y"`,
			`s.yaml:5:1: unknown key "metadataTest"; `,
		}},
		{"merged keys", "s.yaml", v2 + "commandTests:\n- &a\n  name: x\n  command: y\n  nope: 1\n- <<: *a\n", []string{
			`s.yaml:6:3: unknown key "nope" in commandTests[0]; `, `s.yaml:6:3: unknown key "nope" in commandTests[1]; `,
		}},
		{"what has itself in it", "s.yaml", v2 + "metadataTest: &m\n  user: x\n  <<: *m\n", []string{`s.yaml:2:15: "<<" in metadataTest: it has itself in it`}},
		{"values", "s.yaml", v2 + `commandTests:
- command: ''
  setup: [[]]
  envVars: [{key: a}]
  expectedOutput: [ok, '(']
fileExistenceTests:
- name: x
  isExecutableBy: me
fileContentTests:
- path: /x
  excludedContents: ['[']
metadataTest:
  labels: [{key: a, value: '*', isRegex: true}]
  exposedPorts: ['']
`, []string{
			"s.yaml:3:3: commandTests[0] has no name",
			"s.yaml:3:12: commandTests[0] has no command",
			"s.yaml:4:11: an empty command in setup",
			"s.yaml:5:13: envVars: want a key and a value, neither of them empty",
			"s.yaml:6:24: error parsing regexp: missing closing ): `(`",
			"s.yaml:8:3: fileExistenceTests[0] has no path",
			`s.yaml:9:19: isExecutableBy: want owner, group, other or any, have "me"`,
			"s.yaml:11:3: fileContentTests[0] has no name",
			"s.yaml:12:22: error parsing regexp: missing closing ]: `[`",
			"s.yaml:14:28: error parsing regexp: missing argument to repetition operator: `*`",
			"s.yaml:15:18: exposedPorts[0] is empty",
		}},
		{"what cannot be had", "s.yaml", v2 + `licenseTests: [{files: [/x]}]
containerRunOptions:
  privileged: true
  allocateTty: true
  capabilities: [sys_admin]
  bindMounts: ["/a:/b"]
`, []string{
			"s.yaml:4:15: containerRunOptions.privileged is not supported: ",
			"s.yaml:5:16: containerRunOptions.allocateTty is not supported: ",
			"s.yaml:6:17: containerRunOptions.capabilities is not supported: ",
			"s.yaml:7:15: containerRunOptions.bindMounts is not supported: ",
		}},
	} {
		t.Run(test.name, func(t *testing.T) { expectErrors(t, test.file, test.data, test.want) })
	}
}

func TestParseErrorsOfJSON(t *testing.T) {
	for _, test := range []struct {
		name, file, data string
		want             []string // lines
	}{
		{"JSON syntax", "s.json", "{\"schemaVersion\": \"2.0.0\",\n  \"a\": }\n", []string{"s.json:2:8: invalid character '}' looking for beginning of value"}},
		{"JSON that ends", "s.json", "{\"schemaVersion\": \"2.0.0\",\n", []string{"s.json:1:27: unexpected end of JSON input"}},
		{"JSON and more", "s.json", "{}\n{}\n", []string{"s.json:2:1: invalid character '{' after top-level value"}},
		{"YAML is no JSON", "s.json", "schemaVersion: '2.0.0'\n", []string{"s.json:1:1: invalid character 's' looking for beginning of value"}},
		{"JSON keys", "s.json", "{\n  \"schemaVersion\": \"2.0.0\",\n  \"commandTests\": [\n    {\"name\": \"x\", \"comand\": 1, \"exitCode\": \"1\"},\n    {\"name\": 3, \"command\": \"y\"}]}\n", []string{
			`s.json:4:19: unknown key "comand" in commandTests[0]; did you mean "command"?`,
			`s.json:4:44: commandTests[0].exitCode: want a whole number, have "1"`,
			`s.json:5:14: commandTests[1].name: want a string, have "3"`,
		}},
		{"JSON without shouldExist", "s.json", `{"schemaVersion": "2.0.0", "fileExistenceTests": [{"name": "x", "path": "/x"}]}`, []string{
			"s.json:1:51: fileExistenceTests[0] has no shouldExist: ",
		}},
	} {
		t.Run(test.name, func(t *testing.T) { expectErrors(t, test.file, test.data, test.want) })
	}
}

// expectErrors holds the lines of Parse's error against how they should begin.
func expectErrors(t *testing.T, file, data string, want []string) {
	t.Helper()
	_, err := Parse(file, []byte(data))
	if err == nil {
		t.Fatal("Parse() = nil, want an error")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != len(want) {
		t.Fatalf("Parse() =\n%v\nwant\n%s", err, strings.Join(want, "\n"))
	}
	for i, line := range lines {
		if !strings.HasPrefix(line, want[i]) {
			t.Errorf("Parse() says %q, want %q", line, want[i])
		}
	}
}

// TestParse reads what container-structure-test reads, too.
func TestParse(t *testing.T) {
	yaml, err := Parse("s.yml", []byte(`
schemaVersion: "2.0.0"
commandTests:
- &first
  name: x
  command: echo
  args: [1, yes, a]
- <<: *first
  name: y
fileExistenceTests:
- {name: a, path: /a}
- {name: b, path: /b, shouldExist: no, uid: 0}
fileContentTests:
metadataTest:
  exposedPorts: [80]
  cmd: []
containerRunOptions: {privileged: false, user: app}
`))
	if err != nil {
		t.Fatal(err)
	}
	json, err := Parse("s.JSON", []byte(`{"SCHEMAVERSION": "2.0.0",
		"commandTests": [{"Name": "x", "command": "echo", "args": ["1", "yes", "\ud83d\ude00\/"]}],
		"fileExistenceTests": [{"name": "a", "path": "/a", "shouldExist": true}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(json.Commands[0].Args, " "), "echo 1 yes 😀/"; got != want {
		t.Errorf("JSON: args = %q, want %q", got, want)
	}
	if e := json.Existence[0]; !e.ShouldExist || e.UID != -1 || e.GID != -1 {
		t.Errorf("JSON: %+v, want it to exist, whosever it is", e)
	}
	if len(yaml.Commands) != 2 || yaml.Commands[1].Name != "y" || strings.Join(yaml.Commands[1].Args, " ") != "echo 1 yes a" {
		t.Errorf("YAML: commands = %+v", yaml.Commands)
	}
	if a, b := yaml.Existence[0], yaml.Existence[1]; !a.ShouldExist || a.UID != -1 || b.ShouldExist || b.UID != 0 || b.GID != -1 {
		t.Errorf("YAML: existence = %+v, %+v", a, b)
	}
	if m := yaml.Metadata; m.ExposedPorts[0] != "80" || m.Cmd == nil || m.Entrypoint != nil {
		t.Errorf("YAML: metadata = %+v", m)
	}
}

func TestDigest(t *testing.T) {
	const file = "schemaVersion: 2.0.0\ncommandTests: [{name: x, command: y}]\ncontainerRunOptions: {envVars: [A], envFile: vars}\n"
	digest := func(file, a, b string) string {
		t.Helper()
		cfg, err := Parse("s.yaml", []byte(file))
		if err != nil {
			t.Fatal(err)
		}
		getenv := func(string) string { return a }
		readFile := func(string) ([]byte, error) { return []byte("# comment\nexport B=" + b + "\n"), nil }
		if err := cfg.ResolveEnv(getenv, readFile); err != nil {
			t.Fatal(err)
		}
		return cfg.Digest()
	}
	first := digest(file, "1", "1")
	if digest(file, "1", "1") != first {
		t.Error("the digest of the same tests is another one")
	}
	for what, d := range map[string]string{"file": digest(file+"\n", "1", "1"), "variable": digest(file, "2", "1"), "envFile": digest(file, "1", "2")} {
		if d == first {
			t.Errorf("the digest does not change with the %s", what)
		}
	}
	if strings.Contains(first, "1=") {
		t.Errorf("the digest %q tells a value", first)
	}
}

// TestEnvFile reads what godotenv reads, which container-structure-test does.
func TestEnvFile(t *testing.T) {
	for data, want := range map[string]string{
		"# no\nA = 1 # one\n export B='$A # b'\nC=\n": "A=1 B=$A # b",
		"A: 1\nB=\"$A ${A}\\n2\"\nC=$NOPE$A\n":        "A=1 B=1 1\n2 C=1",
		"A=\"two\nlines\"\n":                          "A=two\nlines",
		"A=1\nB='secret\n":                            "error: line 3 is not NAME=VALUE, or has a quote without its end",
	} {
		vars, err := parseEnvFile([]byte(data))
		got := strings.Join(vars, " ")
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != want {
			t.Errorf("parseEnvFile(%q) = %q, want %q", data, got, want)
		}
	}
}
