package main

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	"github.com/tonistiigi/go-csvvalue"
)

// Types of outputs that BuildKit's client has no constant for.
const (
	outputRegistry  = "registry"
	outputCacheOnly = "cacheonly" // buildx's name for none
)

var outputTypes = []string{outputRegistry, client.ExporterImage, client.ExporterLocal, client.ExporterTar, client.ExporterOCI, client.ExporterDocker}

// output is where an image goes, beside registries, once it has passed its tests.
type output struct {
	typed string // what the user wrote
	kind  string
	dest  string // "-" is standard output
	dir   bool   // dest is a directory
	attrs map[string]string
}

// stdout is the destination that is standard output.
const stdout = "-"

// imageAttrs are attributes of outputs that say what the image looks like, as
// BuildKit's image exporter has them. Annotations belong to them too.
var imageAttrs = []exptypes.ImageExporterOptKey{
	exptypes.OptKeyLayerCompression, exptypes.OptKeyCompressionLevel, exptypes.OptKeyForceCompression,
	exptypes.OptKeyOCITypes, exptypes.OptKeyOCIArtifact, exptypes.OptKeyForceInlineAttestations,
	exptypes.OptKeyPreferNondistLayers, exptypes.OptKeyRewriteTimestamp, exptypes.OptKeySourceDateEpoch,
}

// storeAttrs say how an image lies in the builder's own image store.
var storeAttrs = []exptypes.ImageExporterOptKey{
	exptypes.OptKeyUnpack, exptypes.OptKeyStore, exptypes.OptKeyNameCanonical,
	exptypes.OptKeyDanglingPrefix, exptypes.OptKeyDanglingEmptyOnly,
}

// parseOutput takes what buildx takes: TYPE and attributes as CSV, a directory, or -
// for a tar on standard output.
func parseOutput(v string) (output, error) {
	o := output{typed: v, attrs: map[string]string{}}
	fields, err := csvvalue.Fields(v, nil)
	switch {
	case v == "":
		return o, usagef("a directory, or type=TYPE,dest=FILE", "--output is empty")
	case err != nil:
		return o, usagef("", "--output %q: %w", v, err)
	case v == stdout:
		o.kind, o.dest = client.ExporterTar, stdout
		return o, nil
	case len(fields) == 1 && !isAttribute(v):
		o.kind, o.dest = client.ExporterLocal, v
		return o, o.check()
	}
	for _, field := range fields {
		key, value, ok := strings.Cut(field, "=")
		if !ok {
			return o, usagef("it looks like type=oci,dest=image.tar", "--output %q: %q is not of the form KEY=VALUE", v, field)
		}
		switch key = strings.TrimSpace(strings.ToLower(key)); key {
		case "type":
			o.kind = value
		case "dest":
			o.dest = value
		default:
			o.attrs[key] = value
		}
	}
	return o, o.check()
}

// isAttribute tells an attribute that stands alone from a directory. buildx takes all
// but type for directories, such as one that is called dest=out.
func isAttribute(v string) bool {
	key, _, ok := strings.Cut(v, "=")
	return ok && slices.Contains([]string{"type", "dest", "name", "push", "tar"}, strings.TrimSpace(strings.ToLower(key)))
}

// check makes sure of what can be known of an output by itself.
func (o *output) check() error {
	if err := o.misspelt(); err != nil {
		return err
	}
	for _, key := range []string{"tar", "push", "push-by-digest", "platform-split", string(exptypes.OptKeyInsecure), string(exptypes.OptKeyUnpack), string(exptypes.OptKeyOCITypes), string(exptypes.OptKeyForceCompression)} {
		if v, ok := o.attrs[key]; ok {
			if _, err := strconv.ParseBool(v); err != nil {
				return usagef("", "--output %q: %s is true or false", o.typed, key)
			}
		}
	}
	if _, ok := o.attrs["output"]; ok {
		return usagef("", "--output %q: the destination is dest, not output", o.typed)
	}
	if o.is("push-by-digest") {
		return usagef("push to a tag: it is moved last, and the digest is printed", "--output %q: seatrial pushes nothing without a name (push-by-digest)", o.typed)
	}
	switch o.kind {
	case client.ExporterLocal:
		o.dir = true
	case client.ExporterOCI:
		o.dir = o.isNot("tar")
	case client.ExporterDocker:
		if o.isNot("tar") {
			return usagef("type=oci,tar=false is a directory", "--output %q: docker load takes a tar", o.typed)
		}
	case client.ExporterTar, client.ExporterImage, outputRegistry, outputCacheOnly:
	case "":
		return usagef("", "--output %q has no type=, which is one of %s", o.typed, strings.Join(outputTypes, ", "))
	default:
		return usagef("", "--output %q: type %q is not one of %s", o.typed, o.kind, strings.Join(outputTypes, ", "))
	}
	return o.checkDest()
}

// checkDest makes sure that there is a destination where one is needed.
func (o *output) checkDest() error {
	switch o.kind {
	case client.ExporterLocal, client.ExporterOCI, client.ExporterTar, client.ExporterDocker:
	default:
		if o.dest != "" {
			return usagef("", "--output %q: type %s has no destination", o.typed, o.kind)
		}
		return nil
	}
	switch {
	case o.dir && (o.dest == "" || o.dest == stdout):
		return usagef("", "--output %q: it is a directory: dest=DIR is needed", o.typed)
	case o.kind == client.ExporterDocker && o.dest == "":
		return errNoLoad("--output " + o.typed)
	case o.dest == "":
		o.dest = stdout
	}
	if o.dest != stdout {
		return checkWritable(o)
	}
	return nil
}

// errNoLoad is about images for a Docker daemon.
func errNoLoad(flag string) error {
	return usagef("--output type=docker,dest=FILE writes what docker load reads; or push, and docker pull", "%s: seatrial knows no Docker daemon that it could load the image into", flag)
}

// is tells whether a boolean attribute is set.
func (o *output) is(key string) bool {
	v, err := strconv.ParseBool(o.attrs[key])
	return err == nil && v
}

// isNot tells whether a boolean attribute is set to false.
func (o *output) isNot(key string) bool {
	v, err := strconv.ParseBool(o.attrs[key])
	return err == nil && !v
}

// pushes tells whether the output is a push.
func (o *output) pushes() bool {
	return o.kind == outputRegistry || o.kind == client.ExporterImage && o.is("push")
}

// form are the attributes that say what the image looks like.
func (o *output) form() map[string]string {
	out := map[string]string{}
	for k, v := range o.attrs {
		if slices.Contains(imageAttrs, exptypes.ImageExporterOptKey(k)) || strings.HasPrefix(k, "annotation") {
			out[k] = v
		}
	}
	return out
}

// outputSet is what -o and --push come to.
type outputSet struct {
	asked  bool     // for any, be it for none (cacheonly)
	files  []output // to be written
	push   bool
	stored bool              // named in the builder's own store
	names  []string          // of what is pushed or stored
	attrs  map[string]string // of BuildKit's image exporter
	http   bool              // registries may be without TLS
}

// parseOutputs reads outputs, pushed being those of images that are to be pushed
// because something else says so: "" if nothing does.
func parseOutputs(values []string, pushed string) (*outputSet, error) {
	set := &outputSet{asked: len(values) > 0 || pushed != "", attrs: map[string]string{}}
	var images []output
	for _, v := range values {
		o, err := parseOutput(v)
		if err != nil {
			return nil, err
		}
		if o.kind == client.ExporterImage && pushed != "" {
			o.attrs["push"] = "true"
		}
		if set.add(o) {
			images = append(images, o)
		}
	}
	if pushed != "" && !set.push {
		set.push = true
		images = append(images, output{typed: pushed, kind: outputRegistry})
	}
	for _, o := range images {
		// The image is made once. What is pushed is what is written.
		if !maps.Equal(o.form(), images[0].form()) {
			return nil, usagef("all outputs get the same image: give each the same attributes, or use --compression and --annotation, which are for all",
				"--output %q and %s want images that look different", images[0].typed, o.typed)
		}
		maps.Copy(set.attrs, o.form())
	}
	return set, set.check()
}

// add takes an output in, and tells whether it is one of an image.
func (s *outputSet) add(o output) bool {
	switch {
	case o.kind == outputCacheOnly:
		return false
	case o.pushes():
		s.push = true
		s.http = s.http || o.is(string(exptypes.OptKeyInsecure))
	case o.kind == client.ExporterImage:
		s.stored = true
		for _, key := range storeAttrs {
			if v, ok := o.attrs[string(key)]; ok {
				s.attrs[string(key)] = v
			}
		}
	default:
		s.files = append(s.files, o)
		return o.kind != client.ExporterLocal && o.kind != client.ExporterTar
	}
	if v := o.attrs["name"]; v != "" {
		s.names = append(s.names, strings.Split(v, ",")...)
	}
	return true
}

func (s *outputSet) check() error {
	dests := map[string]string{}
	for _, o := range s.files {
		if before, ok := dests[o.dest]; ok {
			return usagef("", "--output %q and %q have one destination", before, o.typed)
		}
		dests[o.dest] = o.typed
	}
	return nil
}

// stdout tells whether an output is written to standard output.
func (s *outputSet) stdout() bool {
	return slices.ContainsFunc(s.files, func(o output) bool { return o.dest == stdout })
}
