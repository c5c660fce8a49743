package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	"github.com/moby/buildkit/util/suggest"
)

// otherAttrs are attributes of outputs beside imageAttrs and storeAttrs: what buildx has,
// and what BuildKit's exporters of files have, which export no names for them.
var otherAttrs = []string{
	"type", "dest", "tar", "context", "push", "name", "push-by-digest", "registry.insecure",
	"mode", "src", "platform-split", "attestation-prefix", "unsafe-internal-store-allow-incomplete",
	"annotation", "annotation-" + exptypes.AnnotationManifest, "annotation-" + exptypes.AnnotationManifestDescriptor,
	"annotation-" + exptypes.AnnotationIndex, "annotation-" + exptypes.AnnotationIndexDescriptor,
}

// misspelt refuses an attribute that nothing has and that is nearly one that something
// has: exporters ignore what they do not know. Newer ones may know more, so that all
// others are let through.
func (o *output) misspelt() error {
	known := slices.Clone(otherAttrs)
	for _, key := range slices.Concat(imageAttrs, storeAttrs) {
		known = append(known, string(key))
	}
	for _, key := range slices.Sorted(maps.Keys(o.attrs)) {
		words := []string{key}
		if end := strings.IndexAny(key, ".["); end > 0 { // annotation-manifest[PLATFORM].NAME
			words = []string{key[:end], key}
		}
		if slices.ContainsFunc(words, func(w string) bool { return slices.Contains(known, w) }) {
			continue
		}
		for _, word := range words {
			if match, ok := suggest.Search(word, known, true); ok {
				return usagef(fmt.Sprintf("did you mean %s?", match), "--output %q: no output has an attribute %s", o.typed, key)
			}
		}
	}
	return nil
}
