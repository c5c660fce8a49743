package main

import (
	"strings"
	"testing"

	"github.com/seatrial/seatrial/hack/testenv"
)

// TestReproducible has two builders, at different times, make one digest. A variable
// that is set to nothing is not set.
func TestReproducible(t *testing.T) {
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
	testenv.Push(t, reg.Host+"/library/busybox", testenv.BusyboxImage(t))
	digests := map[string]bool{}
	for kind, env := range map[testenv.Kind][]string{testenv.Root: nil, testenv.Rootless: {epochVariable + "="}} {
		// The same files, written anew.
		project := testenv.Dir(t, "Dockerfile", "FROM busybox\nCOPY sub /sub\nRUN mkdir /made && cat /proc/uptime >/made/now && rm /made/now\nWORKDIR /work\n", "sub/file", "data")
		w := &world{testenv.StartDaemon(t, testenv.DaemonOptions{Kind: kind}), reg}
		c := start(t, append(w.env(), env...), "build", "--reproducible", project)
		c.exits(0)
		digests[strings.TrimSpace(c.out.String())] = true
	}
	if len(digests) != 1 {
		t.Errorf("two builders made %v, want one digest", digests)
	}
}
