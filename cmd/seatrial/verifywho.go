package main

import (
	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/cmd/internal/sigstore"
)

// bundleVerifier gives the statement in a bundle if the right one has signed it.
type bundleVerifier interface {
	Verify(bundle []byte) ([]byte, error)
}

func signerFlags() []cli.Flag {
	return []cli.Flag{
		stringFlag(catTest, "key", "`FILE` with the public key that the result must be signed with (run --sign key=)"),
		stringFlag(catTest, "certificate-identity", "`IDENTITY` by which the result must be signed (run --sign keyless): an address, or a workflow's URL"),
		stringFlag(catTest, "certificate-oidc-issuer", "`URL` of who must have vouched for the identity"),
		stringFlag(catTest, "trusted-root", "`FILE` that says whose certificates, timestamps and logs to believe (default: that of Sigstore's public services, which is fetched)"),
	}
}

// who reads by whom the result has to be signed, if at all.
func (v *verification) who(c *cli.Context) error {
	for _, flag := range signerFlags() {
		// Unlike elsewhere this is not as good as nothing: whoever may push would be believed.
		// Pipelines have an empty variable for a secret that is not set.
		if name := flag.Names()[0]; c.IsSet(name) && c.String(name) == "" {
			return usagef("is the variable set that it is from?", "--%s is empty", name)
		}
	}
	key, identity, issuer, trusted := c.String("key"), c.String("certificate-identity"), c.String("certificate-oidc-issuer"), c.String("trusted-root")
	switch {
	case key != "" && (identity != "" || issuer != "" || trusted != ""):
		return usagef("", "--key contradicts --certificate-identity, --certificate-oidc-issuer and --trusted-root")
	case (identity == "") != (issuer == ""):
		return usagef("an identity says something only with who has vouched for it", "--certificate-identity and --certificate-oidc-issuer need each other")
	case trusted != "" && identity == "":
		return usagef("", "--trusted-root needs --certificate-identity")
	case key != "":
		verifier, err := sigstore.ReadVerifier(key)
		if err != nil {
			return usagef("the public key of the pair that seatrial run --sign has the private one of, as cosign.pub: openssl pkey -in PRIVATE -pubout writes that of a plain one", "--key: %w", err)
		}
		v.signed, v.signer, v.word = verifier, key, "the key's"
	case identity != "":
		verifier, err := sigstore.NewIdentityVerifier(identity, issuer, trusted)
		if err != nil {
			return usagef("--trusted-root FILE has what cosign trusted-root create writes", "--certificate-identity: %w", err)
		}
		v.signed, v.signer, v.word = verifier, identity, "that identity's"
	}
	return nil
}
