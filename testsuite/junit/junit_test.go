package junit

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
)

// dialects are what the runners really write, shortened.
var dialects = map[string]struct {
	xml  string
	want []Case
}{
	"pytest": {
		xml: `<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest" errors="1" failures="1" skipped="1" tests="4" time="0.050">
<testcase classname="tests.test_app" name="test_ok" time="0.001" />
<testcase classname="tests.test_app" name="test_bad" time="0.002"><failure message="assert 1 == 2">def test_bad():
&gt;   assert 1 == 2
E   assert 1 == 2</failure></testcase>
<testcase classname="tests.test_app" name="test_skip" time="0.000"><skipped type="pytest.skip" message="not today">/src/test_app.py:9: not today</skipped></testcase>
<testcase classname="tests.test_app" name="test_err" time="0.001"><error message="failed on setup with &quot;KeyError&quot;">trace</error></testcase>
</testsuite></testsuites>`,
		want: []Case{
			{Name: "test_ok", Class: "tests.test_app", Time: time.Millisecond, Status: Passed},
			{Name: "test_bad", Class: "tests.test_app", Time: 2 * time.Millisecond, Status: Failed, Message: "assert 1 == 2", Detail: "def test_bad():\n>   assert 1 == 2\nE   assert 1 == 2"},
			{Name: "test_skip", Class: "tests.test_app", Status: Skipped, Message: "not today", Detail: "/src/test_app.py:9: not today"},
			{Name: "test_err", Class: "tests.test_app", Time: time.Millisecond, Status: Failed, Message: `failed on setup with "KeyError"`, Detail: "trace"},
		},
	},
	"surefire": {
		xml: `<?xml version="1.0" encoding="UTF-8"?><testsuite xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" name="com.acme.AppTest" time="1,234.5" tests="3">
<properties><property name="java.version" value="17"/></properties>
<testcase name="retried" classname="com.acme.AppTest" time="0.1"><flakyFailure message="first try" type="AssertionError"><stackTrace>at x</stackTrace></flakyFailure></testcase>
<testcase name="broken" classname="com.acme.AppTest" time="1,000.5"><failure type="java.lang.AssertionError"><![CDATA[java.lang.AssertionError
	at com.acme.AppTest.broken(AppTest.java:12)]]></failure><rerunFailure message="again"/><system-out><![CDATA[printed]]></system-out></testcase>
<testcase name="two" classname="com.acme.AppTest" time="0"><failure message="one"/><failure message="two"/></testcase>
</testsuite>`,
		want: []Case{
			{Name: "retried", Class: "com.acme.AppTest", Time: 100 * time.Millisecond, Status: Passed, Flaky: true, Message: "first try"},
			{Name: "broken", Class: "com.acme.AppTest", Time: 1000*time.Second + 500*time.Millisecond, Status: Failed, Message: "java.lang.AssertionError", Detail: "java.lang.AssertionError\n\tat com.acme.AppTest.broken(AppTest.java:12)", Stdout: "printed"},
			{Name: "two", Class: "com.acme.AppTest", Status: Failed, Message: "one\ntwo"},
		},
	},
	"phpunit": { // suites in suites, files and lines
		xml: `<?xml version="1.0" encoding="UTF-8"?><testsuites><testsuite name="all"><testsuite name="AppTest" file="/app/tests/AppTest.php">
<testcase name="testOk" class="AppTest" classname="AppTest" file="/app/tests/AppTest.php" line="7" time="0.003"/></testsuite>
<testsuite name="OtherTest" file="/app/tests/OtherTest.php"><testcase name="testIt" classname="OtherTest" time="0"/></testsuite></testsuite></testsuites>`,
		want: []Case{
			{Name: "testOk", Class: "AppTest", File: "/app/tests/AppTest.php", Line: 7, Time: 3 * time.Millisecond, Status: Passed},
			{Name: "testIt", Class: "OtherTest", File: "/app/tests/OtherTest.php", Status: Passed},
		},
	},
	"jest": {
		xml: `<testsuites name="jest tests"><testsuite name="sum"><testcase classname="sum adds" name="sum adds" time="0.004"><failure>Error: expect(received).toBe(expected)
    at Object.toBe</failure></testcase><testcase classname="sum later" name="sum later" time="0"><skipped/></testcase></testsuite></testsuites>`,
		want: []Case{
			{Name: "sum adds", Class: "sum adds", Time: 4 * time.Millisecond, Status: Failed, Message: "Error: expect(received).toBe(expected)", Detail: "Error: expect(received).toBe(expected)\n    at Object.toBe"},
			{Name: "sum later", Class: "sum later", Status: Skipped},
		},
	},
	"rspec": {
		xml:  `<testsuite name="rspec" tests="1"><testcase classname="spec.app_spec" name="App works" file="./spec/app_spec.rb" time="0.01"><failure message="expected: 1" type="RSpec::Expectations::ExpectationNotMetError">Failure/Error: expect(2).to eq 1</failure></testcase></testsuite>`,
		want: []Case{{Name: "App works", Class: "spec.app_spec", File: "./spec/app_spec.rb", Time: 10 * time.Millisecond, Status: Failed, Message: "expected: 1", Detail: "Failure/Error: expect(2).to eq 1"}},
	},
	"dotnet": {
		xml:  `<testsuites><testsuite name="Acme.Tests.dll" tests="1" skipped="0"><testcase classname="Acme.Tests.AppTest" name="Works(x: 1)" time="0.0312"/><system-out>Test Framework</system-out></testsuite></testsuites>`,
		want: []Case{{Name: "Works(x: 1)", Class: "Acme.Tests.AppTest", Time: 31200 * time.Microsecond, Status: Passed}},
	},
	"googletest": {
		xml:  `<testsuites><testsuite name="A"><testcase name="Ran" status="run" result="completed" time="0." classname="A"/><testcase name="Off" status="notrun" result="suppressed" time="0." classname="A"/></testsuite></testsuites>`,
		want: []Case{{Name: "Ran", Class: "A", Status: Passed}, {Name: "Off", Class: "A", Status: Skipped}},
	},
	"colours and other control characters": {
		xml:  "<testsuite name=\"x\"><testcase name=\"a\x1b[31mb\"><failure message=\"&#27;[31mred&#x1b;[0m &#9;tab\">\x00text&#0;</failure></testcase></testsuite>",
		want: []Case{{Name: "a[31mb", Status: Failed, Message: "[31mred[0m \ttab", Detail: "text"}},
	},
	"Latin 1": {
		xml:  "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><testsuite name=\"x\"><testcase name=\"caf\xe9\"/></testsuite>",
		want: []Case{{Name: "café", Status: Passed}},
	},
	"UTF-16": {
		xml:  utf16le(`<?xml version="1.0" encoding="UTF-16"?><testsuite name="x"><testcase name="naïve"/></testsuite>`),
		want: []Case{{Name: "naïve", Status: Passed}},
	},
	"nothing": {xml: `<testsuites/>`},
}

func utf16le(s string) string {
	var b bytes.Buffer
	b.WriteString("\xff\xfe")
	for _, u := range utf16.Encode([]rune(s)) {
		b.WriteByte(byte(u))
		b.WriteByte(byte(u >> 8))
	}
	return b.String()
}

func TestParse(t *testing.T) {
	for name, d := range dialects {
		t.Run(name, func(t *testing.T) {
			rep, err := Parse(strings.NewReader(d.xml))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(d.want, rep.Cases()); diff != "" {
				t.Errorf("Parse (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for name, test := range map[string]struct{ in, want string }{
		"nothing":           {"", "line 1, column 1"},
		"text":              {"all tests passed\n", "line 2"},
		"cut off":           {"<testsuite>\n<testcase name='a'>\n", "line 3"},
		"not closed":        {"<testsuite>\n  <testcase></testsuite>", "line 2, column"},
		"another document":  {"<html></html>", "the document is a <html>"},
		"another one again": {"<coverage/>", "not a JUnit report"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(strings.NewReader(test.in))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Parse(%q) = %v, want an error with %q", test.in, err, test.want)
			}
		})
	}
	if _, err := Parse(strings.NewReader("<html/>")); !errors.Is(err, ErrNotJUnit) {
		t.Errorf("Parse of HTML = %v, want ErrNotJUnit", err)
	}
}

// TestWriteIsRead reads what was written from all dialects.
func TestWriteIsRead(t *testing.T) {
	whole := &Report{}
	for _, d := range dialects {
		rep, err := Parse(strings.NewReader(d.xml))
		if err != nil {
			t.Fatal(err)
		}
		whole.Add(rep)
	}
	var buf bytes.Buffer
	if err := Write(&buf, whole); err != nil {
		t.Fatal(err)
	}
	again, err := Parse(&buf)
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range []Status{Passed, Failed, Skipped} {
		if got, want := again.Count(st), whole.Count(st); got != want || want == 0 {
			t.Errorf("%d cases %s after writing, want %d", got, st, want)
		}
	}
	byName := map[string]Case{}
	for _, c := range again.Cases() {
		byName[c.Class+c.Name] = c
	}
	for _, c := range whole.Cases() {
		if got := byName[c.Class+c.Name]; got.Message != c.Message || got.Flaky != c.Flaky || got.File != c.File || got.Time != c.Time.Round(time.Millisecond) {
			t.Errorf("after writing, %+v became %+v", c, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, d := range dialects {
		f.Add([]byte(d.xml))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		rep, err := Parse(bytes.NewReader(data))
		if err != nil {
			return
		}
		var buf bytes.Buffer
		if err := Write(&buf, rep); err != nil {
			t.Fatal(err)
		}
		if again, err := Parse(&buf); err != nil || len(again.Cases()) != len(rep.Cases()) {
			t.Fatalf("what was written cannot be read: %v", err)
		}
	})
}
