package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/ociindex"
	"github.com/moby/buildkit/cmd/buildctl/build"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/urfave/cli/v2"
)

// cacheTypes are the kinds of caches that BuildKit knows.
var cacheTypes = []string{"registry", "local", "gha", "s3", "azblob", "inline"}

// caches are flags about steps that other builders have run.
func (p *plan) caches(c *cli.Context) error {
	for _, flag := range []string{"cache-from", "cache-to"} {
		if err := checkTyped(flag, c.StringSlice(flag)); err != nil {
			return err
		}
	}
	var err error
	if p.build.CacheImports, err = build.ParseImportCache(p.inActions("cache-from", typed(c.StringSlice("cache-from")))); err != nil {
		return usagef("", "--cache-from: %w", err)
	}
	if p.build.CacheExports, err = build.ParseExportCache(p.inActions("cache-to", typed(c.StringSlice("cache-to")))); err != nil {
		return usagef("", "--cache-to: %w", err)
	}
	for _, e := range p.build.CacheExports {
		p.compressAlike(e)
	}
	if err := checkCaches("cache-from", "src", p.build.CacheImports); err != nil {
		return err
	}
	p.warnOfAbsent()
	if err := checkCaches("cache-to", "dest", p.build.CacheExports); err != nil {
		return err
	}
	return checkCacheOptions(p.build.CacheExports)
}

// cacheOptions are those of exported caches that have a few values.
var cacheOptions = []struct {
	key      string
	accepted []string
}{
	{"mode", []string{"min", "max"}},
	{"ignore-error", bools},
	{"compression", []string{"gzip", "zstd", "estargz", "uncompressed"}},
	{"force-compression", bools},
}

// bools are what Go, and so BuildKit, takes for true or false.
var bools = []string{"true", "false", "1", "0", "t", "f", "T", "F", "TRUE", "FALSE", "True", "False"}

// checkCacheOptions refuses what the builder would take for its default without a word,
// or find fault with after the push.
func checkCacheOptions(exports []client.CacheOptionsEntry) error {
	for _, e := range exports {
		for _, opt := range cacheOptions {
			if v, given := e.Attrs[opt.key]; given && !slices.Contains(opt.accepted, v) {
				return usagef("", "--cache-to type=%s: %s %q is not one of %s", e.Type, opt.key, v, strings.Join(opt.accepted[:min(4, len(opt.accepted))], ", "))
			}
		}
	}
	return nil
}

// compressAlike gives a cache the image's compression, unless it was given one, and
// if it can be told: every layer would be compressed once more otherwise.
func (p *plan) compressAlike(e client.CacheOptionsEntry) {
	if _, given := e.Attrs["compression"]; given || !slices.Contains([]string{"registry", "local", "s3"}, e.Type) {
		return
	}
	for _, key := range []exptypes.ImageExporterOptKey{exptypes.OptKeyLayerCompression, exptypes.OptKeyCompressionLevel, exptypes.OptKeyForceCompression} {
		if v, ok := p.build.ExportAttrs[string(key)]; ok {
			e.Attrs[string(key)] = v
		}
	}
}

// typed spells bare references out, as docker build takes them.
func typed(values []string) []string {
	var out []string
	for _, v := range values {
		if strings.Contains(v, "=") {
			out = append(out, v)
			continue
		}
		for ref := range strings.SplitSeq(v, ",") {
			out = append(out, "type=registry,ref="+ref)
		}
	}
	return out
}

// checkTyped refuses options without a type, which BuildKit's parser takes for a reference.
func checkTyped(flag string, values []string) error {
	for _, v := range values {
		if strings.Contains(v, "=") && !strings.Contains(v, "type=") {
			return usagef("", "--%s %q has no type=, which is one of %s", flag, v, strings.Join(cacheTypes, ", "))
		}
	}
	return nil
}

func checkCaches(flag, dir string, entries []client.CacheOptionsEntry) error {
	for _, e := range entries {
		switch {
		case !slices.Contains(cacheTypes, e.Type):
			return usagef("", "--%s: type %q is not one of %s", flag, e.Type, strings.Join(cacheTypes, ", "))
		case e.Type == "local" && e.Attrs[dir] == "":
			return usagef("", "--%s type=local needs %s=DIRECTORY", flag, dir)
		case e.Type == "registry":
			if _, err := name.ParseReference(e.Attrs["ref"]); err != nil {
				return usagef("", "--%s type=registry needs ref=REFERENCE: %w", flag, err)
			}
		}
	}
	return nil
}

// warnOfAbsent tells of directories without a cache, of which BuildKit tells its log
// alone.
func (p *plan) warnOfAbsent() {
	for _, e := range p.build.CacheImports {
		if holdsCache(e) {
			continue
		}
		parts, err := filepath.Glob(filepath.Join(e.Attrs["src"], "*", ocispecs.ImageIndexFile))
		if len(p.addrs) > 1 && err == nil && len(parts) > 0 {
			continue // each builder has one of its own
		}
		p.warned = append(p.warned, finding{message: fmt.Sprintf("--cache-from type=local: there is no cache %q in %s", cacheTag(e), e.Attrs["src"])})
	}
}

// holdsCache tells whether there is a cache where one is to be read from. BuildKit's
// client makes the directories that are not there.
func holdsCache(e client.CacheOptionsEntry) bool {
	if e.Type != "local" {
		return true
	}
	if e.Attrs["digest"] != "" {
		_, err := os.Stat(e.Attrs["src"])
		return err == nil
	}
	desc, err := ociindex.NewStoreIndex(e.Attrs["src"]).Get(cacheTag(e))
	return err == nil && desc != nil
}

// cacheTag is that of a local cache.
func cacheTag(e client.CacheOptionsEntry) string {
	if tag, ok := e.Attrs["tag"]; ok {
		return tag
	}
	return "latest"
}
