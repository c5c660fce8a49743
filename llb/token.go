package llb

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	authutil "github.com/containerd/containerd/v2/core/remotes/docker/auth"
	remoteserrors "github.com/containerd/containerd/v2/core/remotes/errors"
	"github.com/docker/cli/cli/config/types"
	"github.com/moby/buildkit/session/auth"
	"github.com/moby/buildkit/util/resolver/retryhandler"
)

// tokenLifetime is that of a token that does not say, in seconds; the specification's.
const tokenLifetime = 60

// fetchToken asks a token server that is trusted with the credentials. It is FetchToken
// of BuildKit's provider through a transport of ours: theirs takes certificates for
// hosts that are known beforehand only, and puts them into the client that all of
// BuildKit uses.
func fetchToken(ctx context.Context, creds types.AuthConfig, transport http.RoundTripper, req *auth.FetchTokenRequest) (*auth.FetchTokenResponse, error) {
	if creds.RegistryToken != "" {
		return tokenResponse(creds.RegistryToken, 0, 0), nil
	}
	opt := authutil.TokenOptions{
		Realm: req.Realm, Service: req.Service, Scopes: req.Scopes,
		Username: creds.Username, Secret: creds.Password,
	}
	if creds.IdentityToken != "" {
		opt.Username, opt.Secret = "", creds.IdentityToken
	}
	client := &http.Client{Transport: transport}
	if opt.Secret != "" {
		client.CheckRedirect = noRedirect
		resp, err := retryhandler.WithRetry(ctx, nil, func(ctx context.Context) (*authutil.OAuthTokenResponse, error) {
			return authutil.FetchTokenWithOAuth(ctx, client, nil, "buildkit-client", opt)
		})
		if err == nil {
			issued := int64(0)
			if !resp.IssuedAt.IsZero() {
				issued = resp.IssuedAt.Unix()
			}
			return tokenResponse(resp.AccessToken, issued, resp.ExpiresInSeconds), nil
		}
		if !knowsNoPost(err, opt.Username) {
			return nil, fmt.Errorf("fetching a token for %s: %w", req.Host, err)
		}
	}
	resp, err := retryhandler.WithRetry(ctx, nil, func(ctx context.Context) (*authutil.FetchTokenResponse, error) {
		return authutil.FetchToken(ctx, client, nil, opt)
	})
	if err != nil {
		return nil, fmt.Errorf("fetching a token for %s: %w", req.Host, err)
	}
	issued := int64(0)
	if !resp.IssuedAt.IsZero() {
		issued = resp.IssuedAt.Unix()
	}
	return tokenResponse(resp.Token, issued, resp.ExpiresInSeconds), nil
}

// knowsNoPost tells whether a token server may only know the older way: Google's
// answers 404, Artifactory 401.
func knowsNoPost(err error, user string) bool {
	var status remoteserrors.ErrUnexpectedStatus
	if !errors.As(err, &status) {
		return false
	}
	switch status.StatusCode {
	case http.StatusMethodNotAllowed:
		return user != ""
	case http.StatusNotFound, http.StatusUnauthorized:
		return true
	}
	return false
}

func tokenResponse(token string, issued int64, seconds int) *auth.FetchTokenResponse {
	if seconds == 0 {
		seconds = tokenLifetime
	}
	return &auth.FetchTokenResponse{Token: token, IssuedAt: issued, ExpiresIn: int64(seconds)}
}
