package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seatrial/seatrial/testsuite"
	"github.com/seatrial/seatrial/testsuite/junit"
)

// TestTestResult has two runs of the same tests, at another time and in another order,
// say the same.
func TestTestResult(t *testing.T) {
	one := junit.Case{Name: "adds", Class: "math", Time: time.Second, Status: junit.Passed, Stdout: "at noon", Flaky: true}
	two := junit.Case{Name: "divides", Class: "math", Time: time.Minute, Status: junit.Skipped, Message: "not today"}
	say := func(cases ...junit.Case) (string, string) {
		t.Helper()
		passed := passedOn([]testsuite.Case{
			{Name: "unit", Status: testsuite.Passed, Platform: "linux/amd64", Results: &junit.Report{Suites: []junit.Suite{{Name: "math", Cases: cases}}}},
			{Name: "elsewhere", Status: testsuite.Passed, Platform: "linux/arm64"},
			{Name: "all", Status: testsuite.Passed},
			{Name: "broken", Status: testsuite.Failed},
		}, "linux/amd64")
		predicate, file, err := passed.predicate()
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{"all", "unit"}; !slices.Equal(predicate.PassedTests, want) {
			t.Errorf("passed tests = %q, want %q", predicate.PassedTests, want)
		}
		if len(predicate.Reports) != 1 || predicate.Reports[0].Name != "junit.xml" {
			t.Fatalf("reports = %v, want one", predicate.Reports)
		}
		statement, err := statementOf(predicate)
		if err != nil {
			t.Fatal(err)
		}
		return string(statement), string(file.Data)
	}
	statement, report := say(one, two)
	one.Time, one.Stdout, one.Flaky, two.Message = time.Hour, "at midnight", false, "never"
	if again, other := say(two, one); again != statement || other != report {
		t.Errorf("two runs say\n%s\n%s\nand\n%s\n%s", statement, report, again, other)
	}
	if !strings.Contains(report, `name="adds"`) || !strings.Contains(report, "<skipped") || strings.Contains(report, "today") {
		t.Errorf("report = %s", report)
	}
}
