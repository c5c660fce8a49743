package main

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/buildkit/client"

	"github.com/seatrial/seatrial/llb"
)

// Each of several builders keeps a cache of its own: under one name, each would
// overwrite what another has written. The name ends in the first platform that the
// builder makes.

// cachesApart is build with the caches of one of all shares. It looks into those of the
// others too: another run may divide the platforms differently.
func cachesApart(build llb.Options, s *share, all []*share) llb.Options {
	var wanted []string
	for _, other := range all {
		wanted = append(wanted, other.platforms...)
	}
	given := build.CacheImports
	build.CacheImports = nil
	for _, e := range given {
		// It has no part in what other solves write into theirs.
		build.CacheImports = append(build.CacheImports, client.CacheOptionsEntry{Type: e.Type, Attrs: maps.Clone(e.Attrs)})
		for _, p := range wanted {
			if part, ok := cacheFor(e, "src", p); ok {
				build.CacheImports = append(build.CacheImports, part)
			}
		}
	}
	build.CacheExports = slices.Clone(build.CacheExports)
	for i, e := range build.CacheExports {
		if part, ok := cacheFor(e, "dest", s.platforms[0]); ok {
			build.CacheExports[i] = part
		}
	}
	return build
}

// cacheFor is the cache beside e, whose directory is the attribute dir, for a platform.
// An inline cache has none: it is in the image. Neither has one that is named by digest.
func cacheFor(e client.CacheOptionsEntry, dir, platform string) (client.CacheOptionsEntry, bool) {
	suffix := strings.ReplaceAll(platforms.Format(platforms.MustParse(platform)), "/", "-")
	attrs := maps.Clone(e.Attrs)
	switch e.Type {
	case "registry":
		tag, err := name.NewTag(attrs["ref"])
		if err != nil {
			return e, false
		}
		attrs["ref"] = tag.Name() + "-" + suffix
	case "local":
		attrs[dir] = filepath.Join(attrs[dir], suffix)
	case "gha":
		attrs["scope"] = each(attrs["scope"], suffix)
	case "s3", "azblob":
		attrs["name"] = each(attrs["name"], suffix)
	default:
		return e, false
	}
	return client.CacheOptionsEntry{Type: e.Type, Attrs: attrs}, true
}

// each puts the suffix behind every name of a list; BuildKit's default is its own.
func each(names, suffix string) string {
	if names == "" {
		names = "buildkit"
	}
	list := strings.Split(names, ";")
	for i := range list {
		list[i] += "-" + suffix
	}
	return strings.Join(list, ";")
}
