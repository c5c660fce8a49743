// Command report compares BuildKit's frontends with seatrial's:
//
//	report < TEST2JSON
//
// It reads the output of BuildKit's Dockerfile tests in the form of `go tool
// test2json`, prints what passed where, and exits with 1 if a test passes with
// a frontend of BuildKit's and fails with one of ours, with 2 if the tests did
// not run as they should.
package main

import (
	"fmt"
	"os"
)

func main() {
	runs, err := read(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(2)
	}
	table := tabulate(runs)
	table.write(os.Stdout)
	switch {
	case len(runs) == 0:
		fmt.Fprintln(os.Stderr, "report: no test was run")
		os.Exit(2)
	case len(table.unfinished) > 0:
		os.Exit(2)
	case len(table.different) > 0:
		os.Exit(1)
	}
}
