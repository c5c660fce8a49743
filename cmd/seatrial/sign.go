package main

import (
	"context"
	"errors"
	"os"
	"slices"
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
		hint := "keys are made with cosign generate-key-pair, or openssl"
		if _, err := os.Stat(v); err == nil {
			hint = "--sign key=" + v
		}
		return usagef(hint, "--sign %q is neither key=FILE nor keyless", v)
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
	key, err := sigstore.ReadSigner(path, os.Getenv(passwordVariable))
	p.signer = &signer{bundleSigner: key, key: path}
	if err != nil {
		return usagef(keyHint(err), "--sign: %w", err)
	}
	return nil
}

// keyHint says how to come to a private key that is as it has to be.
func keyHint(err error) string {
	switch {
	case errors.Is(err, sigstore.ErrPassword):
		return "the password of the key is expected in the environment, in " + passwordVariable
	case errors.Is(err, sigstore.ErrEncrypted):
		return "openssl pkey -in FILE -out PLAIN decrypts it, and cosign import-key-pair --key PLAIN encrypts it as cosign does"
	case errors.Is(err, sigstore.ErrOpenSSH):
		return "ssh-keygen -p -m PEM -N '' -f FILE rewrites it, if it is an ECDSA key on P-256 (ecdsa-sha2-nistp256)"
	}
	return "an ECDSA key on P-256 is expected, in PEM, plain or as cosign encrypts it: cosign generate-key-pair makes one, and so does openssl ecparam -name prime256v1 -genkey -out FILE"
}

// sign puts the signed result of the tests beside the image, in every repository that
// it goes to. It is there before the tags are: nobody who asks for it sees an image
// without it.
func (s *shipping) sign(ctx context.Context, artifact registry.Artifact, d *delivery) (err error) {
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
	var repos []name.Repository
	for _, ref := range s.refs {
		if !slices.Contains(repos, ref.Context()) {
			repos = append(repos, ref.Context())
		}
	}
	found := make([]signedResult, len(repos))
	if !s.dry {
		done := d.display.step("[push] signing the result of the tests")
		defer func() { done(err) }()
	}
	g, gctx := errgroup.WithContext(ctx)
	for i, repo := range repos {
		g.Go(func() (err error) {
			found[i], err = s.signIn(gctx, repo, artifact, d.plan.signer, payload)
			return err
		})
	}
	err = g.Wait()
	// Those that another repository's failure came too late for are there.
	found = slices.DeleteFunc(found, func(f signedResult) bool { return f.by == "" })
	d.out.signed = &signatures{found, d.plan.signer.services, s.dry}
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
func (s *shipping) signIn(ctx context.Context, repo name.Repository, artifact registry.Artifact, by *signer, payload []byte) (signedResult, error) {
	none := signedResult{}
	digest, err := artifact.Digest()
	if err != nil {
		return none, err
	}
	if s.dry {
		return s.wouldSign(ctx, repo, digest, by, payload)
	}
	reader, err := registry.NewReader(ctx, repo, s.options)
	if err != nil {
		return none, &pushError{err}
	}
	there, err := reader.Referrers(ctx, digest, sigstore.MediaType)
	if err != nil {
		return none, &pushError{err}
	}
	for _, b := range there {
		signed, err := by.Signed(ctx, b, payload)
		if err != nil {
			return none, &pushError{err}
		}
		if signed {
			return by.signed(repo, b), nil
		}
	}
	bundle, err := by.Sign(ctx, payload)
	if err != nil {
		return none, &pushError{err}
	}
	made := by.signed(repo, bundle)
	made.made = true
	made.tag, err = registry.Refer(ctx, repo, artifact, registry.Referrer{
		Type: sigstore.MediaType, Data: bundle, Annotations: sigstore.Annotations(testResultType),
	}, s.options)
	if err != nil {
		return none, &pushError{err}
	}
	return made, nil
}

// wouldSign tells what signIn would do. It asks no service for a certificate, without which
// it cannot tell whether a keyless signature that is there is of the same identity.
func (s *shipping) wouldSign(ctx context.Context, repo name.Repository, digest v1.Hash, by *signer, payload []byte) (signedResult, error) {
	tag := registry.ReferrersTag(repo, digest)
	would := signedResult{repo: repo, by: by.by(""), made: true, tag: &tag}
	reader, err := registry.NewReader(ctx, repo, s.options)
	var there [][]byte
	if err == nil {
		there, err = reader.Referrers(ctx, digest, sigstore.MediaType)
	}
	var e *registry.Error
	if errors.As(err, &e) && (e.Kind == registry.KindDenied || e.Kind == registry.KindNoRepository) {
		return would, nil // of a repository that the push makes many say so
	}
	if err != nil {
		return signedResult{}, &pushError{err}
	}
	if reader.ListsReferrers(ctx, digest) {
		would.tag = nil
	}
	for _, b := range there {
		if by.key == "" {
			break
		}
		if signed, err := by.Signed(ctx, b, payload); err == nil && signed {
			return by.signed(repo, b), nil
		}
	}
	return would, nil
}

// signed is what is told of a bundle.
func (s *signer) signed(repo name.Repository, bundle []byte) signedResult {
	facts := sigstore.FactsOf(bundle)
	return signedResult{repo: repo, by: s.by(facts.Identity), index: facts.LogIndex}
}
