package main

import (
	"net/url"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdForwardable is "forwardable ADDRESS PORT": it sets the variables to where the
// script's web server listens.
func cmdForwardable(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: forwardable ADDRESS PORT")
	}
	at, err := url.Parse(ts.Getenv("WEB"))
	ts.Check(err)
	ts.Setenv(args[0], at.Host)
	ts.Setenv(args[1], at.Port())
}
