package main

import (
	"slices"
	"testing"

	"github.com/seatrial/seatrial/hack/testenv"
)

func TestMatching(t *testing.T) {
	t.Chdir(testenv.Dir(t, "tests/test_a.py", "", "tests/sub/test_b.py", "", "tests/sub/help.txt", "", ".git/test_c.py", "", "test_d.py", ""))
	for _, test := range []struct {
		patterns []string
		want     []string
	}{
		{[]string{"tests"}, []string{"tests/sub/help.txt", "tests/sub/test_b.py", "tests/test_a.py"}},
		{[]string{"**/test_*.py"}, []string{"test_d.py", "tests/sub/test_b.py", "tests/test_a.py"}},
		{[]string{"tests/*/test_*.py", "./test_d.py"}, []string{"test_d.py", "tests/sub/test_b.py"}},
		{[]string{"none/**"}, nil},
	} {
		if got, err := matching(test.patterns); err != nil || !slices.Equal(got, test.want) {
			t.Errorf("matching(%q) = %q, %v, want %q", test.patterns, got, err, test.want)
		}
	}
}
