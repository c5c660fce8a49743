package llb

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"

	"github.com/moby/buildkit/session/auth"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A daemon keeps a registry's tokens, and uses them in another session if that has the
// same key for the registry. BuildKit's provider makes the key of a seed that it keeps
// beside Docker's configuration, whatever the credentials are: with others, a build
// would go on with tokens of the ones before. So here they are in the key as well.

func (p *pullAuth) GetTokenAuthority(ctx context.Context, req *auth.GetTokenAuthorityRequest) (*auth.GetTokenAuthorityResponse, error) {
	salt, err := p.salted(ctx, req.Host, req.Salt)
	if err != nil {
		return nil, err
	}
	resp, err := p.AuthServer.GetTokenAuthority(ctx, &auth.GetTokenAuthorityRequest{Host: req.Host, Salt: salt})
	if seedless(err) {
		public, _ := p.key.Public().(ed25519.PublicKey)
		return &auth.GetTokenAuthorityResponse{PublicKey: public}, nil
	}
	return resp, err
}

func (p *pullAuth) VerifyTokenAuthority(ctx context.Context, req *auth.VerifyTokenAuthorityRequest) (*auth.VerifyTokenAuthorityResponse, error) {
	salt, err := p.salted(ctx, req.Host, req.Salt)
	if err != nil {
		return nil, err
	}
	resp, err := p.AuthServer.VerifyTokenAuthority(ctx, &auth.VerifyTokenAuthorityRequest{Host: req.Host, Salt: salt, Payload: req.Payload})
	if seedless(err) {
		signed := append(ed25519.Sign(p.key, req.Payload), req.Payload...)
		return &auth.VerifyTokenAuthorityResponse{Signed: signed}, nil
	}
	return resp, err
}

// salted is the daemon's salt with all credentials for the host that this build may use: an
// error if it names no image there.
func (p *pullAuth) salted(ctx context.Context, host string, salt []byte) ([]byte, error) {
	if !p.bases.allows(host) {
		// The daemon then falls back to asking for credentials, and gets none.
		return nil, status.Error(codes.Unavailable, "no client side tokens for this host")
	}
	mac := hmac.New(sha256.New, salt)
	scopes := [][]string{nil}
	for _, path := range p.bases.repositories(host) {
		scopes = append(scopes, []string{"repository:" + path + ":pull"})
	}
	seen := map[string]bool{}
	for _, scope := range scopes {
		c, err := p.creds(ctx, host, scope, nil)
		if err != nil {
			return nil, err
		}
		all := c.Username + "\x00" + c.Password + "\x00" + c.IdentityToken + "\x00" + c.RegistryToken + "\x00"
		if !seen[all] {
			seen[all] = true
			_, _ = mac.Write([]byte(all))
		}
	}
	return mac.Sum(nil), nil
}

// seedless tells whether BuildKit's provider can keep no seed, as where there is no home
// directory to write to. If it is told to have no keys it says Unavailable. A key of its own,
// which no other run has, does for this one.
func seedless(err error) bool { return err != nil && status.Code(err) != codes.Unavailable }
