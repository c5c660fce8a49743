// Package heap has the garbage collector leave a young process alone.
package heap

import (
	"runtime"
	"runtime/debug"
)

// quiet is the percentage, of a smallest heap of 4 MiB, that lets it grow to 16 MiB before
// it is collected for the first time. Most runs of seatrial are over by then, and every
// collection costs a few milliseconds of each of two processors.
const quiet = 400

// An import of this package is enough, and the earlier it is initialized the better: what
// other packages make of themselves when they are loaded are 5 MiB.
func init() { //nolint:gochecknoinits // it is all that there is
	before := debug.SetGCPercent(quiet)
	if before != 100 {
		debug.SetGCPercent(before) // GOGC says something
		return
	}
	// After the first collection, all is as it always was.
	first := new([64]byte) // larger than what shares its memory with others
	runtime.AddCleanup(first, func(percent int) { debug.SetGCPercent(percent) }, before)
}
