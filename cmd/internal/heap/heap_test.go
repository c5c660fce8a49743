package heap

import (
	"runtime"
	"runtime/debug"
	"testing"
)

// TestPercentReturns has the collector be as usual after its first collection.
func TestPercentReturns(t *testing.T) {
	for range 100 { // a cleanup runs after a collection, some time
		runtime.GC()
		percent := debug.SetGCPercent(100)
		if percent == 100 {
			return
		}
		debug.SetGCPercent(percent)
		runtime.Gosched()
	}
	t.Error("the percentage is not 100 after 100 collections")
}
