package main

import (
	"context"
	"fmt"
	"io"

	"github.com/docker/cli/cli/config"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/moby/buildkit/session/auth/authprovider"
)

// pullCredentials are those of the docker configuration, for base images.
func pullCredentials() authprovider.AuthConfigProvider {
	return authprovider.LoadAuthConfig(config.LoadDefaultConfigFile(io.Discard))
}

// tellingKeychain says which credentials it found, never what they are.
type tellingKeychain struct {
	authn.Keychain
	w io.Writer
}

// Resolve implements authn.Keychain.
func (k tellingKeychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), target)
}

// ResolveContext implements authn.ContextKeychain.
func (k tellingKeychain) ResolveContext(ctx context.Context, target authn.Resource) (authn.Authenticator, error) {
	auth, err := authn.Resolve(ctx, k.Keychain, target)
	switch {
	case err != nil:
		fmt.Fprintf(k.w, "debug: credentials for %s: %v\n", target, err)
	case auth == authn.Anonymous:
		fmt.Fprintf(k.w, "debug: credentials for %s: none found in %s, going on anonymously\n", target, config.Dir())
	default:
		fmt.Fprintf(k.w, "debug: credentials for %s: from the docker configuration in %s\n", target, config.Dir())
	}
	return auth, err
}
