package main

import (
	"cmp"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/cmd/internal/sigstore"
)

// keyless is the --sign that needs no key.
const keyless = "keyless"

// serviceFlags are the names of those that say where --sign keyless gets what it needs.
var serviceFlags = []string{"fulcio-url", "rekor-url", "tsa-url", "signing-config"}

func keylessFlags() []cli.Flag {
	return []cli.Flag{
		stringFlag(catTest, "fulcio-url", "`URL` of the Fulcio that certifies for --sign keyless (default: Sigstore's public services, all of them)"),
		stringFlag(catTest, "rekor-url", "`URL` of the log that --sign keyless enters the signature into, of Rekor's first version; --signing-config names those of the second (default with --fulcio-url: none)"),
		stringFlag(catTest, "tsa-url", "`URL` of the timestamp authority for --sign keyless, with its path (default with --fulcio-url: none)"),
		stringFlag(catTest, "signing-config", "`FILE` that names the services for --sign keyless, as cosign has them"),
	}
}

// noServices is an error if there are services to sign with, and no --sign keyless.
func noServices(c *cli.Context) error {
	for _, name := range serviceFlags {
		if c.String(name) != "" {
			return usagef("", "--%s needs --sign keyless", name)
		}
	}
	return nil
}

// signingKeyless makes sure that there is an identity and that there are services, and
// asks none of them: a certificate lasts for ten minutes.
func (p *plan) signingKeyless(c *cli.Context) error {
	identity := sigstore.Identity{
		Token:      os.Getenv("SIGSTORE_ID_TOKEN"),
		RequestURL: os.Getenv("ACTIONS_ID_TOKEN_REQUEST_URL"), RequestToken: os.Getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN"),
	}
	if !identity.Known() {
		return usagef("GitHub's jobs need the permission id-token: write, GitLab's id_tokens: {SIGSTORE_ID_TOKEN: {aud: sigstore}}; elsewhere put a token into SIGSTORE_ID_TOKEN",
			"--sign keyless: there is no identity to sign by")
	}
	subject, err := identity.Subject()
	if err != nil {
		return usagef("it has to hold the token itself, as GitLab's id_tokens put it there", "--sign keyless: SIGSTORE_ID_TOKEN: %w", err)
	}
	services, err := servicesOf(c)
	if err == nil {
		err = services.Check()
	}
	if err != nil {
		return usagef("--fulcio-url, and --tsa-url or --rekor-url or both, or --signing-config FILE", "--sign keyless: %w", err)
	}
	p.signer = &signer{bundleSigner: sigstore.NewKeyless(services, identity), subject: subject, services: services}
	return nil
}

// servicesOf are the public ones only if no other is named: what is for the inside must
// not be told to the public log because one URL was forgotten.
func servicesOf(c *cli.Context) (sigstore.Services, error) {
	named := sigstore.Services{Fulcio: c.String("fulcio-url"), Rekor: c.String("rekor-url"), TSA: c.String("tsa-url")}
	if path := c.String("signing-config"); path != "" {
		read, err := sigstore.ReadSigningConfig(path)
		if named.Rekor == "" {
			named.Rekor, named.RekorVersion = read.Rekor, read.RekorVersion
		}
		named.Fulcio, named.TSA = cmp.Or(named.Fulcio, read.Fulcio), cmp.Or(named.TSA, read.TSA)
		return named, err
	}
	if named == (sigstore.Services{}) {
		return sigstore.Public, nil
	}
	return named, nil
}
