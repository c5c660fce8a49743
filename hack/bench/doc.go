// Command bench compares seatrial with what one would use instead: buildctl
// called twice (the test, then the image), and buildx bake with both as
// targets. All of them talk to the same buildkitd and push to the same
// docker-registry, on this machine; their runs take turns, and medians are
// compared. `make bench` builds what it needs and runs it:
//
//	go run ./hack/bench [-n RUNS] [-layer MB] [-o FILE] [-run REGEXP]
//
// The table goes to stdout and, with what it was measured on, into FILE. With -run, only
// what has a title that REGEXP matches is measured, and no file is written.
package main
