package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/registry"
	"github.com/seatrial/seatrial/testsuite"
)

func pushCommand(std Streams) *cli.Command {
	return &cli.Command{
		Name: "push", Usage: "push an image that was written before", ArgsUsage: "LAYOUT_OR_TAR[:TAG|@DIGEST]",
		Description: "Pushes what -o type=oci or type=docker has written, or docker save: a layout's\n" +
			"directory, a tar, or - for one on standard input. Every blob is verified before anything\n" +
			"is sent. seatrial test -o and run -o state in the image's index which tests it passed, or\n" +
			"note it beside the image where there is no index; any other image needs --untested. This\n" +
			"believes whoever wrote the file, as no signature is asked for.\n\n" +
			"   seatrial test -o type=oci,dest=app.tar .\n" +
			"   seatrial push app.tar -t registry.example.com/app:1.2",
		Flags: slices.Concat([]cli.Flag{
			listFlag(catImage, "tag", "`REFERENCE` to push to; may be repeated, across registries (default: [$REGISTRY/]$ACCOUNT/$IMAGE with the tags $TAG and latest)", "t"),
			stringFlag(catImage, "image", "`TAG|NAME|DIGEST` of the image, if there are several"),
			verifyPushFlag(),
			boolFlag(catTest, "untested", "push an image that is not known to have passed any test"),
			dryRunFlag("tell what would be sent, mounted and tagged, and by whose credentials; move nothing"),
		}, registryFlags(), outputFlags()),
		Action: func(c *cli.Context) error { return executePush(c, std) },
	}
}

// savedSource is what is to be pushed.
type savedSource struct {
	path     string
	image    string // which one; "" for the only one
	untested bool   // it may be
}

func executePush(c *cli.Context, std Streams) error {
	p, err := newPushPlan(c)
	if err != nil {
		return err
	}
	err = p.execute(c.Context, std)
	if p.debug {
		explain(std.Err, err)
	}
	return err
}

func newPushPlan(c *cli.Context) (*plan, error) {
	if c.NArg() != 1 {
		return nil, usagef("seatrial push app.tar -t REGISTRY/REPOSITORY:TAG", "one LAYOUT_OR_TAR is expected, not %d", c.NArg())
	}
	p := &plan{
		mode: modePush, outputs: &outputSet{push: true}, dryRun: c.Bool("dry-run"), verifyPush: c.Bool("verify-push"),
		progress: c.String("progress"), quiet: c.Bool("quiet"), debug: c.Bool("debug"),
		resultFile: c.String("result-file"), metadataFile: c.String("metadata-file"), iidFile: c.String("iidfile"),
	}
	path, image := splitSaved(c.Args().First())
	if own := c.String("image"); own != "" {
		if image != "" && image != own {
			return nil, usagef("", "--image %q contradicts %q", own, c.Args().First())
		}
		image = own
	}
	p.saved = &savedSource{path: path, image: image, untested: c.Bool("untested")}
	for _, step := range []func(*cli.Context) error{p.output, p.files, p.names, p.registries} {
		if err := step(c); err != nil {
			return nil, err
		}
	}
	return p, nil
}

const stdinPath = "/dev/stdin"

// splitSaved divides PATH[:TAG|@DIGEST]. What is there under the whole name is it.
func splitSaved(arg string) (path, image string) {
	if arg == stdin {
		return stdinPath, ""
	}
	if _, err := os.Stat(arg); err == nil {
		return arg, ""
	}
	if path, digest, ok := strings.Cut(arg, "@"); ok {
		return path, digest
	}
	if at := strings.LastIndex(arg, ":"); at > strings.LastIndex(arg, "/") {
		return arg[:at], arg[at+1:]
	}
	return arg, ""
}

// open opens what is to be pushed, and finds the image. Errors are the user's.
func (s *savedSource) open(ctx context.Context, notes io.Writer) (*registry.Saved, registry.SavedImage, *testsuite.Report, error) {
	saved, err := s.read(ctx, notes)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return nil, registry.SavedImage{}, nil, cause
	}
	if err != nil {
		hint := ""
		switch {
		case errors.Is(err, fs.ErrNotExist):
			hint = "seatrial test -o type=oci,dest=FILE writes an image that has passed its tests"
		case s.path == stdinPath: // in a pipeline it is the last one's error that is seen
			hint = "it is what comes on standard input: has what writes it there failed?"
		}
		return nil, registry.SavedImage{}, nil, unreadable(err, hint)
	}
	img, rep, err := s.find(ctx, saved)
	if err != nil {
		return nil, registry.SavedImage{}, nil, errors.Join(err, saved.Close())
	}
	return saved, img, rep, nil
}

// unreadable is the error for what cannot be read, unless it was no fault of the file.
func unreadable(err error, hint string) error {
	if errors.Is(err, registry.ErrTemporary) {
		hint = "what is compressed or comes by a pipe is unpacked, and what docker save writes is compressed: " + temporaryHint()
	}
	return usagef(hint, "%w", err)
}

// read does not wait any longer than ctx for what comes from a terminal or a pipe, be
// it standard input or another one.
func (s *savedSource) read(ctx context.Context, notes io.Writer) (*registry.Saved, error) {
	fi, err := os.Stat(s.path)
	if err != nil || fi.IsDir() || fi.Mode().IsRegular() {
		return registry.OpenSaved(s.path)
	}
	if s.path == stdinPath {
		return registry.ReadSaved(s.path, awaited(ctx, os.Stdin, "a tar of the image", notes))
	}
	return registry.ReadSaved(s.path, interruptible(ctx, &lateFile{path: s.path}))
}

// find finds the image, and the tests that it has passed, without which it needs
// --untested.
func (s *savedSource) find(ctx context.Context, saved *registry.Saved) (registry.SavedImage, *testsuite.Report, error) {
	img, err := choose(saved.Images(), s.path, s.image)
	if err != nil {
		return img, nil, err
	}
	rep, err := savedTests(ctx, saved, img)
	var failed *saidToFail
	switch {
	case errors.As(err, &failed) && !s.untested:
		return img, nil, usagef("--untested pushes it all the same", "the index of the image in %s says that %s", s.path, failed)
	case err != nil && failed == nil:
		return img, nil, usagef("write it again: nothing was pushed", "%w", err)
	case rep == nil && !s.untested:
		return img, nil, usagef("seatrial run and seatrial test state it in the image's index, or note it beside, where -o type=oci or type=docker writes the image; --untested pushes it all the same",
			"the image in %s is not known to have passed any test", s.path)
	}
	return img, rep, nil
}

// choose finds the image that is wanted among those that there are.
func choose(images []registry.SavedImage, path, want string) (registry.SavedImage, error) {
	var found []registry.SavedImage
	for _, img := range images {
		if want == "" || img.Digest.String() == want || slices.ContainsFunc(img.Names, func(n string) bool { return sameName(n, want) }) {
			found = append(found, img)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(images) == 0:
		return registry.SavedImage{}, usagef("", "there is no image in %s", path)
	case want == "":
		return registry.SavedImage{}, usagef("say which with --image, or "+path+":TAG", "%s has %d images: %s", path, len(images), inventoryOf(images))
	case len(found) == 0:
		return registry.SavedImage{}, usagef("", "there is no image %q in %s, which has %s", want, path, inventoryOf(images))
	default:
		return registry.SavedImage{}, usagef("say which with --image DIGEST", "%d images in %s are called %q: %s", len(found), path, want, inventoryOf(found))
	}
}

// sameName compares the name of a saved image with what is wanted: the whole name,
// where Docker Hub and "latest" may be left out, or the tag alone.
func sameName(have, want string) bool {
	if have == want || strings.HasSuffix(have, ":"+want) && !strings.Contains(want, "/") {
		return true
	}
	p := &plan{outputs: &outputSet{}}
	refs, err := p.references([]string{have, want})
	return err == nil && strings.ContainsAny(have, "/:") && refs[0].Name() == refs[1].Name()
}

func inventoryOf(images []registry.SavedImage) string {
	var list []string
	for _, img := range images {
		one := img.Digest.String()
		if len(img.Names) > 0 {
			one = strings.Join(img.Names, ", ") + " (" + one + ")"
		}
		list = append(list, one)
	}
	return strings.Join(list, "; ")
}
