package llb

import (
	"context"
	"crypto/ed25519"
	"net/http"
	"strings"
	"sync"

	"github.com/docker/cli/cli/config/types"
	"github.com/moby/buildkit/session/auth"
	"github.com/moby/buildkit/session/auth/authprovider"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// pullAuth gives the daemon what it needs to pull the images that this build
// names, and nothing else: no credentials for another host, no token that can
// push, except to where a cache is to be exported. A daemon may serve many tenants; whatever it is given, it may keep.
//
// What remains: a registry with Basic authentication has no tokens, so for such
// a registry of a base image the daemon sees the password that the user has for
// it. And a configuration may have a finished registry token, which nobody can make
// narrower: the daemon gets that for a pull, whatever else it permits.
type pullAuth struct {
	auth.AuthServer
	bases     *bases
	creds     authprovider.AuthConfigProvider
	transport func(registry string) http.RoundTripper // to token servers; nil: BuildKit's own
	trusted   sync.Map                                // hosts and token servers that are theirs
	key       ed25519.PrivateKey                      // where BuildKit's provider has none, see seedless
}

// newPullAuth returns nil if BuildKit's provider cannot be wrapped.
func newPullAuth(opt Options, b *bases) *pullAuth {
	creds := b.scoped(opt.PullCredentials)
	inner, ok := authprovider.NewDockerAuthProvider(authprovider.DockerAuthProviderConfig{AuthConfigProvider: creds}).(auth.AuthServer)
	if !ok {
		return nil
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil
	}
	return &pullAuth{AuthServer: inner, bases: b, creds: creds, transport: opt.TokenTransport, key: key}
}

func (p *pullAuth) Register(server *grpc.Server) {
	auth.RegisterAuthServer(server, p)
}

func (p *pullAuth) Credentials(ctx context.Context, req *auth.CredentialsRequest) (*auth.CredentialsResponse, error) {
	if !p.bases.allows(req.Host) {
		return &auth.CredentialsResponse{}, nil
	}
	return p.AuthServer.Credentials(ctx, req)
}

func (p *pullAuth) FetchToken(ctx context.Context, req *auth.FetchTokenRequest) (*auth.FetchTokenResponse, error) {
	if !p.bases.allows(req.Host) {
		return nil, status.Errorf(codes.PermissionDenied, "this build names no image of %s, so the builder gets no token for it", req.Host)
	}
	for _, scope := range req.Scopes {
		if !p.bases.grants(req.Host, scope) {
			return nil, status.Errorf(codes.PermissionDenied, "the builder asked for a token with scope %q; it only ever gets tokens that pull", scope)
		}
	}
	if p.transport == nil {
		return p.AuthServer.FetchToken(ctx, req)
	}
	creds, err := p.creds(ctx, req.Host, req.Scopes, nil)
	if err != nil {
		return nil, err
	}
	if key := req.Host + " " + req.Realm; creds.Password+creds.IdentityToken != "" {
		if _, ok := p.trusted.Load(key); !ok {
			if err := trustRealm(ctx, p.transport(req.Host), req.Host, req.Realm); err != nil {
				return nil, err
			}
			p.trusted.Store(key, true)
		}
	}
	return fetchToken(ctx, creds, p.transport(req.Host), req)
}

// scoped asks for the credentials of a repository where BuildKit asks for those of a
// whole registry, which it does for registries that give no tokens: some may be for
// repositories only. Of those that the build names, the first one counts that has any.
func (b *bases) scoped(creds authprovider.AuthConfigProvider) authprovider.AuthConfigProvider {
	return func(ctx context.Context, host string, scopes []string, expired authprovider.ExpireCachedAuthCheck) (types.AuthConfig, error) {
		found, err := creds(ctx, host, scopes, expired)
		if err != nil || len(scopes) > 0 {
			return found, err
		}
		for _, path := range b.repositories(host) {
			if found.Username+found.Password+found.IdentityToken+found.RegistryToken != "" {
				break
			}
			if found, err = creds(ctx, host, []string{"repository:" + path + ":pull"}, expired); err != nil {
				break
			}
		}
		return found, err
	}
}

// grants reads a scope of the token specification, TYPE:NAME:ACTION,ACTION. It may
// pull, and push to the repository of an exported cache.
func (b *bases) grants(host, scope string) bool {
	for _, s := range strings.Fields(scope) {
		name, actions, _ := cutLast(strings.TrimPrefix(s, "repository:"), ":")
		for _, a := range strings.Split(actions, ",") {
			if a != "pull" && !(a == "push" && b.caches[canonicalHost(host)+"/"+name]) {
				return false
			}
		}
	}
	return true
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
