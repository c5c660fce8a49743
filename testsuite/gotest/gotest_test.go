package gotest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatrial/seatrial/testsuite/junit"
)

func TestParse(t *testing.T) {
	// As go test -json prints it: packages mixed, a line that is no event, a package
	// that does not compile, one that panics.
	const in = `go: downloading example.com/x v1.0.0
{"ImportPath":"example.com/broken [example.com/broken.test]","Action":"build-output","Output":"# example.com/broken\n"}
{"ImportPath":"example.com/broken [example.com/broken.test]","Action":"build-output","Output":"./x.go:3:1: undefined: y\n"}
{"ImportPath":"example.com/broken [example.com/broken.test]","Action":"build-fail"}
{"Action":"start","Package":"example.com/app"}
{"Action":"run","Package":"example.com/app","Test":"TestOk"}
{"Action":"output","Package":"example.com/app","Test":"TestOk","Output":"=== RUN   TestOk\n"}
{"Action":"start","Package":"example.com/broken"}
{"Action":"fail","Package":"example.com/broken","Elapsed":0,"FailedBuild":"example.com/broken [example.com/broken.test]"}
{"Action":"pass","Package":"example.com/app","Test":"TestOk","Elapsed":0.25}
{"Action":"run","Package":"example.com/app","Test":"TestBad"}
{"Action":"output","Package":"example.com/app","Test":"TestBad","Output":"    app_test.go:9: got 1\n"}
{"Action":"output","Package":"example.com/app","Test":"TestBad","Output":"--- FAIL: TestBad (0.00s)\n"}
{"Action":"fail","Package":"example.com/app","Test":"TestBad","Elapsed":0}
{"Action":"run","Package":"example.com/app","Test":"TestSkip"}
{"Action":"output","Package":"example.com/app","Test":"TestSkip","Output":"    app_test.go:20: no network\n"}
{"Action":"skip","Package":"example.com/app","Test":"TestSkip","Elapsed":0}
{"Action":"run","Package":"example.com/app","Test":"TestPanics"}
{"Action":"output","Package":"example.com/app","Test":"TestPanics","Output":"panic: oh\n"}
{"Action":"fail","Package":"example.com/app","Elapsed":0.3}
`
	rep, err := Parse(strings.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	want := []junit.Case{
		{Name: "TestOk", Class: "example.com/app", Time: 250 * time.Millisecond, Status: junit.Passed, Stdout: "=== RUN   TestOk"},
		{Name: "TestBad", Class: "example.com/app", Status: junit.Failed, Message: "app_test.go:9: got 1", Detail: "app_test.go:9: got 1\n--- FAIL: TestBad (0.00s)"},
		{Name: "TestSkip", Class: "example.com/app", Status: junit.Skipped, Message: "app_test.go:20: no network"},
		{Name: "TestPanics", Class: "example.com/app", Status: junit.Failed, Message: "the test did not end", Detail: "panic: oh"},
		{Name: "example.com/broken", Class: "example.com/broken", Status: junit.Failed, Message: "# example.com/broken", Detail: "# example.com/broken\n./x.go:3:1: undefined: y"},
	}
	if diff := cmp.Diff(want, rep.Cases()); diff != "" {
		t.Errorf("Parse (-want +got):\n%s", diff)
	}
	for _, in := range []string{"", "ok  \texample.com/app\t0.1s\n", "{\"other\": 1}\n"} {
		if _, err := Parse(strings.NewReader(in)); !errors.Is(err, ErrNone) {
			t.Errorf("Parse(%q) = %v, want ErrNone", in, err)
		}
	}
}
