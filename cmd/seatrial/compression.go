package main

import (
	"fmt"
	"io"
	"time"
)

// longCompressing is how long compressing takes at least before it is worth a hint.
const longCompressing = 3 * time.Second

// hintAtCompression says how layers are compressed faster, if that took longer than
// all else that the builder had to do for them. kind is how they were.
func hintAtCompression(w io.Writer, kind string, building, compressing time.Duration) {
	if kind != "" && kind != "gzip" || compressing < longCompressing || compressing <= building {
		return
	}
	fmt.Fprintf(w, "hint: compressing layers took %s, and building them %s: --compression zstd is about three times as fast as gzip\n", seconds(compressing), seconds(building))
}
