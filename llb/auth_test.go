package llb

import (
	"context"
	"testing"

	"github.com/docker/cli/cli/config/types"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session/auth"
	"github.com/moby/buildkit/session/auth/authprovider"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestPullAuth asks as a builder would that wants more than it needs.
func TestPullAuth(t *testing.T) {
	ctx := context.Background()
	b := newBases()
	creds := func(context.Context, string, []string, authprovider.ExpireCachedAuthCheck) (types.AuthConfig, error) {
		return types.AuthConfig{Username: "captain", Password: "s3cret", RegistryToken: "token"}, nil
	}
	p := newPullAuth(Options{PullCredentials: creds}, b)
	b.announce("base.example.com/team/base:1")
	b.announce("busybox")
	b.announceCaches(Options{CacheExports: []client.CacheOptionsEntry{{Type: "registry", Attrs: map[string]string{"ref": "cache.example.com/team/cache:main"}}}})

	for host, want := range map[string]string{
		"base.example.com":       "s3cret",
		"registry-1.docker.io":   "s3cret", // docker.io's host
		"destination.example.co": "",
	} {
		resp, err := p.Credentials(ctx, &auth.CredentialsRequest{Host: host})
		if err != nil || resp.Secret != want {
			t.Errorf("Credentials(%s) = %q, %v, want %q", host, resp.GetSecret(), err, want)
		}
	}

	for _, test := range []struct {
		host, scope string
		want        codes.Code
	}{
		{"base.example.com", "repository:team/base:pull", codes.OK},
		{"base.example.com", "repository:team/base:pull,push", codes.PermissionDenied},
		{"base.example.com", "repository:team/base:push", codes.PermissionDenied},
		{"base.example.com", "repository:team/base:pull repository:team/other:*", codes.PermissionDenied},
		{"base.example.com", "registry:catalog:*", codes.PermissionDenied},
		{"cache.example.com", "repository:team/cache:pull,push", codes.OK},
		{"cache.example.com", "repository:team/app:pull,push", codes.PermissionDenied},
		{"base.example.com", "repository:team/cache:pull,push", codes.PermissionDenied},
		{"other.example.com", "repository:team/base:pull", codes.PermissionDenied},
	} {
		_, err := p.FetchToken(ctx, &auth.FetchTokenRequest{Host: test.host, Scopes: []string{test.scope}})
		if got := status.Code(err); got != test.want {
			t.Errorf("FetchToken(%s, %q) = %v, want code %v", test.host, test.scope, err, test.want)
		}
	}

	if _, err := p.GetTokenAuthority(ctx, &auth.GetTokenAuthorityRequest{Host: "other.example.com"}); status.Code(err) != codes.Unavailable {
		t.Errorf("GetTokenAuthority(other) = %v, want Unavailable", err)
	}
}
