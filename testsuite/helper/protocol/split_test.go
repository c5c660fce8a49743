package protocol

import (
	"fmt"
	"testing"
)

func TestBalance(t *testing.T) {
	for _, test := range []struct {
		name    string
		files   []string
		seconds map[string]float64
		shards  int
		want    string
	}{
		{"nothing known", []string{"d", "c", "b", "a", "e"}, nil, 2, "[[a c e] [b d]]"},
		{"one long file", []string{"a", "b", "c", "d"}, map[string]float64{"a": 1, "b": 1, "c": 9, "d": 1}, 2, "[[c] [a b d]]"},
		{"a new one", []string{"a", "b", "new"}, map[string]float64{"a": 4, "b": 2, "gone": 100}, 2, "[[a] [b new]]"},
		{"as many as shards", []string{"b", "a"}, map[string]float64{"a": 0, "b": 0}, 2, "[[a] [b]]"},
	} {
		if got := fmt.Sprint(Balance(test.files, test.seconds, test.shards)); got != test.want {
			t.Errorf("%s: Balance() = %s, want %s", test.name, got, test.want)
		}
	}
}
