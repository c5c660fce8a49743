package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/seatrial/seatrial/registry"
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

// noteCompression looks for layers that the builder had otherwise than they are wanted:
// it compresses only what it had not made a layer of before.
func (o *outcome) noteCompression(ctx context.Context, artifact registry.Artifact) {
	o.stayed = registry.OtherwiseCompressed(ctx, artifact, o.wantedCompression())
}

func (o *outcome) wantedCompression() string { return cmp.Or(o.compression, "gzip") }

// hintAtStayed says what has layers converted that stayed as the builder had them.
func (o *outcome) hintAtStayed(w io.Writer) {
	flags, wanted := "--force-compression", o.wantedCompression()
	if o.compression == "" {
		flags = "--compression gzip " + flags
	}
	for _, kind := range slices.Sorted(maps.Keys(o.stayed)) {
		n, them := o.stayed[kind], "them"
		if n == 1 {
			them = "it"
		}
		fmt.Fprintf(w, "hint: %s stayed %s, as the builder had %s: %s makes %s %s, and the layers of base images\n", plural(n, "layer"), kind, them, flags, them, wanted)
	}
}
