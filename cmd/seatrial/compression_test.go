package main

import (
	"strings"
	"testing"
	"time"
)

func TestHintAtCompression(t *testing.T) {
	for _, c := range []struct {
		kind                  string
		building, compressing time.Duration
		want                  bool
	}{
		{"", 2 * time.Second, 7 * time.Second, true},
		{"gzip", 2 * time.Second, 7 * time.Second, true},
		{"zstd", 2 * time.Second, 7 * time.Second, false},
		{"uncompressed", 2 * time.Second, 7 * time.Second, false},
		{"", 8 * time.Second, 7 * time.Second, false},
		{"", 0, time.Second, false},
		{"", 0, 0, false},
	} {
		var b strings.Builder
		hintAtCompression(&b, c.kind, c.building, c.compressing)
		if got := strings.Contains(b.String(), "took 7.00s, and building them 2.00s: --compression zstd"); got != c.want || !c.want && b.Len() > 0 {
			t.Errorf("hint for %q, built in %s, compressed in %s = %q", c.kind, c.building, c.compressing, b.String())
		}
	}
}
