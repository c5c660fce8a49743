package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/cmd/internal/sigstore"
	"github.com/seatrial/seatrial/registry"
	"github.com/seatrial/seatrial/testsuite"
)

// unprovenError says that an image cannot be shown to have passed its tests.
type unprovenError struct{ err error }

func (e *unprovenError) Error() string { return e.err.Error() }
func (e *unprovenError) Unwrap() error { return e.err }

func unprovenf(format string, args ...any) error {
	return &unprovenError{fmt.Errorf(format, args...)}
}

// readError is an image that a registry does not give.
type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }
func (e *readError) Unwrap() error { return e.err }

func readHints(err error) []string {
	var e *registry.Error
	if errors.As(err, &e) && e.Kind == registry.KindDenied && !e.Anonymous {
		return []string{fmt.Sprintf("the credentials for %s were refused, or may not pull from %s", e.Registry, e.Repository)}
	}
	if errors.As(err, &e) && e.Status == http.StatusNotFound && strings.HasSuffix(e.Op, e.Repository) {
		return []string{fmt.Sprintf("a reference without a tag means %s", name.DefaultTag)}
	}
	return pushHints(err)
}

func verifyCommand(std Streams) *cli.Command {
	return &cli.Command{
		Name: "verify", Usage: "tell whether an image in a registry passed its tests", ArgsUsage: "REFERENCE",
		Description: "Reads what seatrial run has attested of the image, and prints it by its digest if its\n" +
			"tests passed on every platform that it is for, and none failed. Otherwise the exit code\n" +
			"is 4, or 6 if the registry does not give the image.\n\n" +
			"Without --key or --certificate-identity this believes whoever may push to the repository.\n\n" +
			"   image=$(seatrial verify --key cosign.pub registry.example.com/app:1.2)",
		Flags: slices.Concat(registryFlags(), signerFlags(), []cli.Flag{
			listFlag(catTest, "require-test", "the test `NAME` must be among those that passed, on every platform: a test's name as the summary has it, or one out of its JUnit report as SUITE/CASE; may be repeated"),
			boolFlag(catOutput, "quiet", "print the digest and errors only", "q"),
			boolFlag(catOutput, "debug", "show errors with all that led to them"),
		}),
		Action: func(c *cli.Context) error {
			v, err := newVerification(c, std)
			if err != nil {
				return err
			}
			err = v.run(c.Context, std)
			if v.debug {
				explain(std.Err, err)
			}
			return err
		},
	}
}

// verification is a command line of verify.
type verification struct {
	ref      name.Reference
	required []string
	signed   bundleVerifier // nil: signatures do not matter
	signer   string         // by whom, as the user says it
	word     string         // whose word it is to be
	options  registry.Options
	notes    io.Writer
	debug    bool
}

func newVerification(c *cli.Context, std Streams) (*verification, error) {
	if c.NArg() != 1 {
		return nil, usagef("seatrial verify registry.example.com/team/app:1.2", "one REFERENCE is expected, not %d", c.NArg())
	}
	v := &verification{
		required: c.StringSlice("require-test"), debug: c.Bool("debug"), notes: std.Err,
	}
	if c.Bool("quiet") {
		v.notes = io.Discard
	}
	arg := c.Args().First()
	if at := strings.LastIndex(arg, "@"); at >= 0 && !strings.HasPrefix(arg[at:], "@sha") {
		return nil, usagef("", "a reference has no user name or password: …%s", arg[at:])
	}
	if fi, err := os.Stat(arg); err == nil && (fi.Mode().IsRegular() || strings.HasPrefix(arg, ".") || filepath.IsAbs(arg)) {
		return nil, usagef("seatrial push "+arg+" -t REFERENCE pushes it if it has passed its tests", "%s is no reference: what is verified is in a registry", arg)
	}
	var err error
	if v.ref, err = parseReference(arg, name.WeakValidation); err != nil {
		return nil, err
	}
	p := &plan{outputs: &outputSet{}, refs: []name.Reference{v.ref}}
	if err := p.registries(c); err != nil {
		return nil, err
	}
	v.options = registry.Options{Keychain: p.access.pulls, Transport: p.access.hosts, Waiting: v.waiting}
	return v, v.who(c)
}

func (v *verification) run(ctx context.Context, std Streams) error {
	reader, err := registry.NewReader(ctx, v.ref.Context(), v.options)
	if err != nil {
		return &readError{err}
	}
	found, err := reader.Attested(ctx, v.ref, testResultType)
	if err != nil {
		return &readError{err}
	}
	if len(found.Images) == 0 {
		return unprovenf("%s: the index has no image", v.ref)
	}
	signed, err := v.signature(ctx, reader, found.Digest)
	var unproven *unprovenError
	var failed *saidToFail
	if errors.As(err, &unproven) && !errors.As(err, &failed) && !found.Index {
		return unprovenf("%w; if it is part of an index, name the index: that is what is signed", err)
	}
	if err != nil {
		return err
	}
	if !found.Index && signed != nil {
		// Nothing else of an image's referrers is signed; the index's digest
		// covers what is in it.
		found.Images[0].Statements = signed
	}
	var missing []error
	for _, image := range found.Images {
		err := v.image(ctx, reader, image, found)
		if err != nil && !errors.As(err, &failed) && !found.Index {
			err = unprovenf("%w; if it is part of an index, name the index: this registry may not tell what refers to it", err)
		}
		missing = append(missing, err)
	}
	if err := errors.Join(missing...); err != nil {
		return err
	}
	_, err = fmt.Fprintln(std.Out, canonical(v.ref.Context().Digest(found.Digest.String())))
	return err
}

// waiting says what is waited for.
func (v *verification) waiting(w registry.Wait) (over func()) {
	if w.For >= shownWait {
		fmt.Fprintf(v.notes, "seatrial: %s\n", waitingFor(w))
	}
	return func() {}
}

// image shows the tests that one image of those that were found passed.
func (v *verification) image(ctx context.Context, reader *registry.Reader, image registry.AttestedImage, found *registry.Attested) error {
	platform := ""
	if len(found.Images) > 1 {
		platform = platformName(image.Platform)
	}
	word := saidOf(image)
	on := v.ref.String()
	if platform != "" {
		on += " (" + platform + ")"
	}
	v.note(word.passed, platform, testsuite.Passed)
	v.note(word.failed, platform, testsuite.Failed)
	switch {
	case len(word.failed) > 0:
		return unprovenf("%s: a statement about %s says that %w", on, image.Digest, &saidToFail{word.failed})
	case len(word.passed) == 0:
		return unprovenf("%s: nothing says that %s passed any test", on, image.Digest)
	}
	if found.Index && v.signed != nil { // else it was asked already, or does not matter
		if _, _, err := v.words(ctx, reader, on, image.Digest); err != nil {
			return err
		}
	}
	known := &knownTests{tests: word.passed}
	for _, want := range v.required {
		want, ok := onPlatform(want, image, found.Images)
		if !ok || slices.Contains(word.passed, want) {
			continue
		}
		if err := known.read(ctx, reader, image); err != nil {
			return &readError{err}
		}
		if err := known.check(want); err != nil {
			return unprovenf("%s: %w", on, err)
		}
	}
	return nil
}

func (v *verification) note(tests []string, platform string, st testsuite.Status) {
	for _, name := range tests {
		c := testsuite.Case{Name: short(onLine(name), 40), Platform: platform}
		row(v.notes, "tested", c.Title(), string(st))
	}
}

// signature makes sure that whoever has to sign says that the image passed, and nowhere
// that it did not, and gives the statements; nil if no signature is asked for.
//
// What anybody else has signed neither helps nor harms: whoever may push could keep
// everybody from an image with a statement of their own. Of the signer's own statements none
// takes another back: they have no time, a signature by a key has none that could be
// trusted, and a test that failed need not be among those that passed later.
func (v *verification) signature(ctx context.Context, reader *registry.Reader, image v1.Hash) ([][]byte, error) {
	if v.signed == nil {
		row(v.notes, "signed", "not checked: whoever may push there may have written this (--key, --certificate-identity)", "")
		return nil, nil
	}
	passing, reasons, err := v.words(ctx, reader, v.ref.String(), image)
	switch {
	case err != nil:
		return nil, err
	case len(passing) == 0 && len(reasons) == 0:
		return nil, unprovenf("%s: there is no signature of %s", v.ref, image)
	case len(passing) == 0:
		return nil, unprovenf("%s: no signature of %s is %s word that it passed its tests%s", v.ref, image, v.word, because(reasons))
	}
	row(v.notes, "signed", "by "+v.signer, "")
	return passing, nil
}

// words are the statements in which whoever has to sign says that an image passed, and why
// other signatures of it do not count. One that says that a test failed is an error.
func (v *verification) words(ctx context.Context, reader *registry.Reader, on string, image v1.Hash) (passing [][]byte, reasons []string, err error) {
	bundles, err := reader.Referrers(ctx, image, sigstore.MediaType)
	if err != nil {
		return nil, nil, &readError{err}
	}
	var failed []string
	for _, b := range bundles {
		payload, err := v.signed.Verify(b)
		word := saidIn(payload, image)
		switch {
		case err != nil:
			reasons = append(reasons, strings.ReplaceAll(err.Error(), "\n", "; "))
		case len(word.failed) > 0:
			failed = append(failed, word.failed...)
		case len(word.passed) == 0:
			reasons = append(reasons, "a statement does not say so")
		default:
			passing = append(passing, payload)
		}
	}
	slices.Sort(failed)
	failed = slices.Compact(failed)
	switch {
	case len(failed) > 0 && len(passing) > 0:
		err = unprovenf("%s: of %s it is %s word that it passed its tests, and that %w", on, image, v.word, &saidToFail{failed})
	case len(failed) > 0:
		err = unprovenf("%s: of %s it is %s word that %w", on, image, v.word, &saidToFail{failed})
	}
	return passing, reasons, err
}

// because tells each reason once.
func because(reasons []string) string {
	slices.Sort(reasons)
	if reasons = slices.Compact(reasons); len(reasons) == 0 {
		return ""
	}
	return ": " + strings.Join(reasons, "; ")
}
