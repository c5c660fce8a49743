package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	"github.com/urfave/cli/v2"
	"golang.org/x/term"
)

// entitlementDelete is buildx's: it lets an output delete what else is in a directory
// outside of the working directory.
const entitlementDelete = "buildx.local.delete"

// exports are flags about where the image goes.
func (p *plan) exports(c *cli.Context) error {
	if c.Bool("load") {
		return errNoLoad("--load")
	}
	pushed := ""
	switch {
	case p.mode == modeRun:
		pushed = "the push of seatrial run"
	case c.Bool("push"):
		pushed = "--push"
	}
	set, err := parseOutputs(c.StringSlice("output"), pushed)
	if err != nil {
		return err
	}
	switch {
	case set.push && p.mode == modeTest:
		return usagef("seatrial run pushes what has passed its tests", "seatrial test pushes nothing")
	case set.stored && p.mode != modeBuild:
		return usagef("type=oci,dest=FILE writes the image once its tests have passed", "--output type=image would have the image in the builder's store before it was tested")
	case set.stdout() && isTerminal(c.App.Writer):
		return usagef("dest=FILE, or a pipe", "--output: a terminal is no place for a tar")
	}
	for k, v := range set.attrs {
		p.build.ExportAttrs[k] = v
	}
	p.outputs = set
	return p.checkFiles(c.StringSlice("allow"))
}

// checkFiles checks the outputs against the rest of the command line.
func (p *plan) checkFiles(allowed []string) error {
	several := len(p.addrs) > 1
	for _, o := range p.outputs.files {
		switch {
		case o.kind == client.ExporterDocker && (len(p.build.Platforms) > 1 || several):
			return usagef("type=oci holds several", "--output %q: what docker load reads holds one platform", o.typed)
		case several && (o.kind == client.ExporterTar || o.attrs["mode"] == string(client.LocalExporterModeDelete)):
			return usagef("type=local,dest=DIR gets the files from all of them", "--output %q: with several builders, each would delete what another has written", o.typed)
		}
		if o.kind != client.ExporterLocal {
			continue
		}
		mode, err := client.ParseLocalExporterMode(o.attrs["mode"])
		if err != nil {
			return usagef("", "--output %q: %w", o.typed, err)
		}
		if mode != client.LocalExporterModeDelete || slices.Contains(allowed, entitlementDelete) {
			continue
		}
		if inside, err := insideWorkdir(o.dest); err != nil || !inside {
			return usagef("--allow "+entitlementDelete+" allows it", "--output %q would delete what else is in %s, which is not inside the working directory", o.typed, o.dest)
		}
	}
	return nil
}

// insideWorkdir tells whether dir is below the working directory, whatever links lead
// there.
func insideWorkdir(dir string) (bool, error) {
	wd, err := os.Getwd()
	if err != nil {
		return false, err
	}
	if wd, err = filepath.EvalSymlinks(wd); err != nil {
		return false, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return false, err
	}
	there, rest := dir, ""
	for {
		found, err := filepath.EvalSymlinks(there)
		if err == nil {
			there = filepath.Join(found, rest)
			break
		}
		if !errors.Is(err, os.ErrNotExist) {
			return false, err
		}
		there, rest = filepath.Dir(there), filepath.Join(filepath.Base(there), rest)
	}
	rel, err := filepath.Rel(wd, there)
	return err == nil && rel != "." && filepath.IsLocal(rel), nil
}

// checkWritable makes sure that a destination can be written: after a long build it
// would be late to learn that it cannot.
func checkWritable(o *output) error {
	fi, err := os.Stat(o.dest)
	switch {
	case err == nil && o.dir && !fi.IsDir():
		return usagef("", "--output %q: %s is not a directory", o.typed, o.dest)
	case err == nil && !o.dir && fi.IsDir():
		return usagef("dest=FILE", "--output %q: %s is a directory", o.typed, o.dest)
	case err == nil && !o.dir && !fi.Mode().IsRegular():
		return nil // a pipe, or /dev/null
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return usagef("", "--output %q: %w", o.typed, err)
	}
	dir := filepath.Dir(o.dest)
	if o.dir {
		for dir = o.dest; ; dir = filepath.Dir(dir) {
			if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
				break
			}
		}
	}
	f, err := os.CreateTemp(dir, ".seatrial-*")
	if err == nil {
		err = errors.Join(f.Close(), os.Remove(f.Name()))
	}
	if err == nil {
		return nil
	}
	hint := ""
	if errors.Is(err, os.ErrNotExist) {
		hint = "make the directory first, or name another"
	}
	if at := new(fs.PathError); errors.As(err, &at) {
		err = at.Err // the file that it names is none of the user's
	}
	return usagef(hint, "--output %q: cannot write to %s: %w", o.typed, dir, err)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// exportNames tells BuildKit the image's names where it needs them: to put the image
// into the builder's own store, and to attest something of it. Nothing is pushed by
// them.
func (p *plan) exportNames() {
	if len(p.refs) == 0 || !p.outputs.stored && len(p.build.Attestations) == 0 {
		return
	}
	if !p.outputs.stored {
		p.build.ExportAttrs[string(exptypes.OptKeyStore)] = "false"
	}
	var names []string
	for _, ref := range p.refs {
		names = append(names, canonical(ref))
	}
	p.build.ExportAttrs[string(exptypes.OptKeyName)] = strings.Join(names, ",")
}
