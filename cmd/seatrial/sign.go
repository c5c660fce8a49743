package main

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"github.com/seatrial/seatrial/cmd/internal/sigstore"
	"github.com/seatrial/seatrial/registry"
	"github.com/seatrial/seatrial/testsuite"
)

// passwordVariable is cosign's.
const passwordVariable = "COSIGN_PASSWORD" //nolint:gosec // the name of a variable

// bundleSigner signs statements.
type bundleSigner interface {
	Sign(ctx context.Context, statement []byte) ([]byte, error)
	// Signed tells whether a bundle is the same signer's word for the statement.
	Signed(ctx context.Context, bundle, statement []byte) (bool, error)
}

func signFlag() cli.Flag {
	return stringFlag(catTest, "sign", "sign the result of the tests, for seatrial verify and cosign verify-attestation: `key=FILE` with a private key as cosign makes them, whose password is in COSIGN_PASSWORD, or keyless, by the identity of the CI job")
}

// signing reads the key before anything is built: afterwards would be too late.
func (p *plan) signing(c *cli.Context) error {
	v := c.String("sign")
	if v != keyless {
		if err := noServices(c); err != nil {
			return err
		}
	}
	if v == "" && c.IsSet("sign") {
		return usagef("is the variable set that it is from?", "--sign is empty")
	}
	if v == "" {
		return nil
	}
	kind, path, _ := strings.Cut(v, "=")
	switch {
	case v != keyless && (kind != "key" || path == ""):
		return usagef("keys are made with cosign generate-key-pair, or openssl", "--sign %q is neither key=FILE nor keyless", v)
	case p.suite == nil:
		return usagef("", "--sign contradicts --untested: there is no result to be signed")
	case !p.attestTests:
		return usagef("", "--sign needs --attest-tests: what is signed is the index that says what was tested")
	case c.Command.Name == configName:
		return nil // it signs nothing, and shall need no password
	}
	if v == keyless {
		return p.signingKeyless(c)
	}
	signer, err := sigstore.ReadSigner(path, os.Getenv(passwordVariable))
	p.signer = signer
	if errors.Is(err, sigstore.ErrPassword) {
		return usagef("the password of the key is expected in the environment, in "+passwordVariable, "--sign: %w", err)
	}
	if err != nil {
		return usagef("a key looks like cosign's cosign.key: ECDSA on P-256, in PEM", "--sign: %w", err)
	}
	return nil
}

// sign puts the signed result of the tests beside the image, in every repository that
// it goes to. It is there before the tags are: nobody who asks for it sees an image
// without it.
func (s *shipping) sign(ctx context.Context, artifact registry.Artifact, d *delivery) error {
	if d.plan.signer == nil || len(d.passed) == 0 {
		return nil
	}
	digest, err := artifact.Digest()
	if err != nil {
		return err
	}
	payload, err := signedStatement(d.passed, digest)
	if err != nil {
		return err
	}
	done := d.display.step("[push] signing the result of the tests")
	g, gctx := errgroup.WithContext(ctx)
	repos := map[string]bool{}
	for _, ref := range s.refs {
		if repo := ref.Context(); !repos[repo.Name()] {
			repos[repo.Name()] = true
			g.Go(func() error { return s.signIn(gctx, repo, artifact, d.plan.signer, payload) })
		}
	}
	err = g.Wait()
	done(err)
	return err
}

// signedStatement is about the whole artifact, whose digest covers what is said of
// each image in it: the names have their platforms with them.
func signedStatement(cases []testsuite.Case, digest v1.Hash) ([]byte, error) {
	titled := make([]testsuite.Case, 0, len(cases))
	for _, c := range cases {
		if c.Platform != "" {
			c.Name += " (" + c.Platform + ")"
		}
		c.Platform = ""
		titled = append(titled, c)
	}
	predicate, _, err := passedOn(titled, "").predicate()
	if err != nil {
		return nil, err
	}
	return statementOf(predicate, digest)
}

// signIn leaves a repository alone that has the same word of the same key already: a
// signature is never the same twice, and every run would add one.
func (s *shipping) signIn(ctx context.Context, repo name.Repository, artifact registry.Artifact, signer bundleSigner, payload []byte) error {
	digest, err := artifact.Digest()
	if err != nil {
		return err
	}
	reader, err := registry.NewReader(ctx, repo, s.options)
	if err != nil {
		return &pushError{err}
	}
	there, err := reader.Referrers(ctx, digest, sigstore.MediaType)
	if err != nil {
		return &pushError{err}
	}
	for _, b := range there {
		signed, err := signer.Signed(ctx, b, payload)
		if err != nil {
			return &pushError{err}
		}
		if signed {
			return nil
		}
	}
	bundle, err := signer.Sign(ctx, payload)
	if err != nil {
		return &pushError{err}
	}
	err = registry.Refer(ctx, repo, artifact, registry.Referrer{
		Type: sigstore.MediaType, Data: bundle, Annotations: sigstore.Annotations(testResultType),
	}, s.options)
	if err != nil {
		return &pushError{err}
	}
	return nil
}
