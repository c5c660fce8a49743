//go:build cosign

package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seatrial/seatrial/hack/testenv"
)

// TestCosign tells the stories of testdata/cosign, in which $COSIGN is cosign itself.
// Building that takes minutes and a gigabyte of modules: `make cosign` does.
func TestCosign(t *testing.T) {
	daemon := testenv.SharedDaemon(t, testenv.Rootless)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/cosign",
		Setup: func(e *testscript.Env) error {
			setUp(e, daemon)
			e.Setenv("COSIGN", testenv.Binary(t, "cosign"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": cmdExits},
	})
}
