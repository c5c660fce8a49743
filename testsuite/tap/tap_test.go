package tap

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seatrial/seatrial/testsuite/junit"
)

func TestParse(t *testing.T) {
	for name, test := range map[string]struct {
		in   string
		want []junit.Case
	}{
		"plan first": {"TAP version 13\n1..3\nok 1 - adds\nnot ok 2 - subtracts\n  ---\n  message: 'got 1'\n  severity: fail\n  ...\nok 3 # SKIP no network\n", []junit.Case{
			{Name: "adds", Status: junit.Passed},
			{Name: "subtracts", Status: junit.Failed, Message: "got 1", Detail: "message: 'got 1'\nseverity: fail\n"},
			{Name: "test 3", Status: junit.Skipped, Message: "no network"},
		}},
		"plan last, no numbers, diagnostics": {"ok\nnot ok sums\n# (in test file a.bats, line 3)\n#  `false' failed\n1..2\n", []junit.Case{
			{Name: "test 1", Status: junit.Passed},
			{Name: "sums", Status: junit.Failed, Message: "(in test file a.bats, line 3)", Detail: "(in test file a.bats, line 3)\n `false' failed\n"},
		}},
		"todo": {"1..2\nnot ok 1 - later # TODO not written\nok 2 - bonus # todo\n", []junit.Case{
			{Name: "later", Status: junit.Skipped, Message: "not written"},
			{Name: "bonus", Status: junit.Passed},
		}},
		"subtests": {"1..1\n# Subtest: inner\n    1..1\n    not ok 1 - deep\nnot ok 1 - inner\n", []junit.Case{
			{Name: "inner", Status: junit.Failed},
		}},
		"missing": {"1..3\nok 1 - a\n", []junit.Case{
			{Name: "a", Status: junit.Passed},
			{Name: "test 2", Status: junit.Failed, Message: "it was planned, and did not run"},
			{Name: "test 3", Status: junit.Failed, Message: "it was planned, and did not run"},
		}},
		"bail out": {"1..1\nok 1 - a\nBail out! no database\n", []junit.Case{
			{Name: "a", Status: junit.Passed},
			{Name: "Bail out!", Status: junit.Failed, Message: "no database"},
		}},
		"cut off": {"ok 1 - a\n", []junit.Case{
			{Name: "a", Status: junit.Passed},
			{Name: "plan", Status: junit.Failed, Message: "the output ended without a plan"},
		}},
		"all skipped": {"1..0 # SKIP not here\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			rep, err := Parse(strings.NewReader(test.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, rep.Cases()); diff != "" {
				t.Errorf("Parse (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := Parse(strings.NewReader("all is well\nokay\n")); !errors.Is(err, ErrNone) {
		t.Errorf("Parse of prose = %v, want ErrNone", err)
	}
}
