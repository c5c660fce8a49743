package llb

import (
	"slices"

	"github.com/moby/buildkit/client"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
)

// Caches that need no account of a registry have their keys and tokens among their
// attributes. What a build asks its frontend for is in the daemon's history for all to
// read, so these imports are named to the daemon with each graph alone.

// openImports are the others.
func (o Options) openImports() []client.CacheOptionsEntry {
	return slices.DeleteFunc(slices.Clone(o.CacheImports), func(e client.CacheOptionsEntry) bool { return slices.Contains(keyedTypes, e.Type) })
}

// keyedImports are those with keys.
func (o Options) keyedImports() []gateway.CacheOptionsEntry {
	var out []gateway.CacheOptionsEntry
	for _, e := range o.CacheImports {
		if slices.Contains(keyedTypes, e.Type) {
			out = append(out, gateway.CacheOptionsEntry{Type: e.Type, Attrs: e.Attrs})
		}
	}
	return out
}
