package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	"github.com/urfave/cli/v2"
)

// epochVariable is the reproducible-builds.org variable for the time that files and
// images are said to be of.
const epochVariable = "SOURCE_DATE_EPOCH"

// maxLevels are the compressions of layers that BuildKit knows, with the highest
// level of each.
var maxLevels = map[string]int{"gzip": 9, "zstd": 22, "estargz": 9, "uncompressed": 0}

// exportOptions are flags about the form of the image.
func (p *plan) exportOptions(c *cli.Context) error {
	p.build.ExportAttrs = map[string]string{}
	if err := p.compression(c); err != nil {
		return err
	}
	for _, v := range c.StringSlice("annotation") {
		if err := p.annotation(v); err != nil {
			return err
		}
	}
	p.epoch(c)
	return nil
}

func (p *plan) compression(c *cli.Context) error {
	kind := c.String("compression")
	if kind == "" {
		if c.IsSet("compression-level") || c.Bool("force-compression") {
			return usagef("", "--compression-level and --force-compression need --compression")
		}
		return nil
	}
	most, ok := maxLevels[kind]
	if !ok {
		return usagef("", "--compression %q is not one of gzip, zstd, estargz, uncompressed", kind)
	}
	p.build.ExportAttrs[string(exptypes.OptKeyLayerCompression)] = kind
	if c.IsSet("compression-level") {
		level := c.Int("compression-level")
		if level < 0 || level > most {
			return usagef("", "--compression-level %d is not from 0 to %d, as %s has it", level, most, kind)
		}
		p.build.ExportAttrs[string(exptypes.OptKeyCompressionLevel)] = strconv.Itoa(level)
	}
	if c.Bool("force-compression") {
		p.build.ExportAttrs[string(exptypes.OptKeyForceCompression)] = "true"
	}
	return nil
}

// annotation takes buildx's [TYPE[,TYPE]:]KEY=VALUE, where a type may have a
// platform: manifest[linux/amd64].
func (p *plan) annotation(v string) error {
	name, value, ok := strings.Cut(v, "=")
	if !ok {
		return usagef("", "--annotation %q is not of the form [TYPE:]KEY=VALUE", v)
	}
	types := []string{exptypes.AnnotationManifest}
	if prefix, key, ok := strings.Cut(name, ":"); ok {
		types, name = strings.Split(prefix, ","), key
	}
	for _, typ := range types {
		attr := fmt.Sprintf("annotation-%s.%s", typ, name)
		key, ok, err := exptypes.ParseAnnotationKey(attr)
		if err != nil || !ok {
			return usagef("a type is manifest, index, manifest-descriptor or index-descriptor, or manifest[PLATFORM]", "--annotation %q: type %q or key %q is invalid", v, typ, name)
		}
		p.indexWanted = p.indexWanted || key.Type != exptypes.AnnotationManifest
		p.build.ExportAttrs[key.String()] = value
	}
	if p.indexWanted && len(p.build.Platforms) < 2 && len(p.addrs) < 2 && len(p.build.Attestations) == 0 {
		return usagef("name the platform with --platform, several for an index", "--annotation %q is for an index, and an image for one platform without attestations has none", v)
	}
	return nil
}

// epoch passes the environment's time on as docker build does. Reproducible images
// need one, and files of that time; without one it is 1970.
func (p *plan) epoch(c *cli.Context) {
	reproducible := c.Bool("reproducible")
	at := os.Getenv(epochVariable)
	if reproducible && at == "" {
		at = "0"
	}
	if _, given := p.build.BuildArgs[epochVariable]; !given && at != "" {
		p.build.BuildArgs[epochVariable] = at
	}
	if reproducible {
		p.build.ExportAttrs[string(exptypes.OptKeyRewriteTimestamp)] = "true"
	}
}
