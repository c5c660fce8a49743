package main

import (
	"net"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdFreePorts is "freeports NAME…": it sets each variable to a port that nobody listens at.
func cmdFreePorts(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: freeports NAME…")
	}
	for _, name := range args {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		defer l.Close() // not before the next one has another
		_, port, err := net.SplitHostPort(l.Addr().String())
		ts.Check(err)
		ts.Setenv(name, port)
	}
}
