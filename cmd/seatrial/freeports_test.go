package main

import (
	"net"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seatrial/seatrial/hack/testenv"
)

// cmdFreePorts is "freeports NAME…": it sets each variable to a port that nobody listens at.
func cmdFreePorts(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: freeports NAME…")
	}
	for _, name := range args {
		_, port, err := net.SplitHostPort(testenv.FreeAddr(ts.Value(testingKey{}).(testing.TB)))
		ts.Check(err)
		ts.Setenv(name, port)
	}
}
