package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/identity"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/registry"
	"github.com/seatrial/seatrial/testsuite"
)

// outputError is an output that could not be written.
type outputError struct{ err error }

func (e *outputError) Error() string { return e.err.Error() }
func (e *outputError) Unwrap() error { return e.err }

// delivery writes outputs.
type delivery struct {
	plan    *plan
	stdout  io.Writer
	out     *outcome
	display *display
	suites  []*testsuite.Suite   // that the image has to pass
	passed  []testsuite.Case     // that are attested
	final   *ocispecs.Descriptor // of the image with what is attested of its tests; nil: nothing is
}

// any tells whether there is anything to write.
func (d *delivery) any() bool { return len(d.plan.outputs.files) > 0 && !d.plan.dryRun }

// deliver writes what -o asks for, once the image has passed its tests. A file is
// there whole or not at all. The files of an image that several builders have made
// come from each of them.
func (d *delivery) deliver(ctx context.Context, images []*llb.Shipment, artifact registry.Artifact) error {
	if !d.any() {
		return nil
	}
	defer d.out.phase("output")()
	for _, o := range d.plan.outputs.files {
		if err := d.write(ctx, images, artifact, o); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return &outputError{fmt.Errorf("writing output %q: %w", o.typed, err)}
		}
		d.out.wrote = append(d.out.wrote, o)
	}
	return nil
}

func (d *delivery) write(ctx context.Context, images []*llb.Shipment, artifact registry.Artifact, o output) error {
	switch o.kind {
	case client.ExporterLocal:
		for _, s := range images {
			err := s.Export(ctx, []client.ExportEntry{{Type: o.kind, Attrs: maps.Clone(o.attrs), OutputDir: o.dest}})
			if err != nil {
				return err
			}
		}
		return nil
	case client.ExporterTar:
		return d.file(o, func(w io.Writer) error {
			return images[0].Export(ctx, []client.ExportEntry{{Type: o.kind, Attrs: maps.Clone(o.attrs), Output: func(map[string]string) (io.WriteCloser, error) {
				return nopCloser{w}, nil
			}}})
		})
	}
	done := d.display.step(fmt.Sprintf("[output] writing type=%s,dest=%s", o.kind, o.dest))
	err := d.writeImage(ctx, images, artifact, o)
	done(err)
	return err
}

// writeImage writes the image itself, not another export of it: it has the digest of
// what is pushed.
func (d *delivery) writeImage(ctx context.Context, images []*llb.Shipment, artifact registry.Artifact, o output) error {
	names, err := d.plan.namesOf(o)
	if err != nil {
		return err
	}
	opt := registry.LayoutOptions{Names: names, Annotate: annotate(d.suites)}
	if len(images) == 1 {
		opt.Annotations = images[0].Descriptor.Annotations
	}
	switch {
	case o.dir:
		return registry.WriteLayout(ctx, o.dest, artifact, opt)
	case o.kind == client.ExporterDocker:
		return d.file(o, func(w io.Writer) error { return registry.WriteDockerArchive(ctx, w, artifact, opt) })
	default:
		return d.file(o, func(w io.Writer) error { return registry.WriteArchive(ctx, w, artifact, opt) })
	}
}

// file has write write the destination of an output.
func (d *delivery) file(o output, write func(io.Writer) error) error {
	if o.dest == stdout {
		return write(d.stdout)
	}
	fi, err := os.Stat(o.dest)
	if err == nil && !fi.Mode().IsRegular() {
		f, err := os.OpenFile(o.dest, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(write(f), f.Close())
	}
	return writeWhole(o.dest, write)
}

// writeWhole writes a file beside its destination, and puts it there when it is
// whole. If the destination is a link, what it leads to is replaced.
func writeWhole(dest string, write func(io.Writer) error) error {
	if target, err := filepath.EvalSymlinks(dest); err == nil {
		dest = target
	}
	// Unlike with os.CreateTemp, who may read it is left to the umask.
	f, err := os.OpenFile(filepath.Join(filepath.Dir(dest), "."+filepath.Base(dest)+"-"+identity.NewID()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // in vain once it was renamed
	if err := errors.Join(write(f), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), dest)
}

// nopCloser leaves closing to whoever opened.
type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
