package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/moby/buildkit/session/auth/authprovider"

	"github.com/seatrial/seatrial/registry/credentials"
)

// tellingKeychain says which credentials it found, never what they are.
type tellingKeychain struct {
	*credentials.Keychain
	w io.Writer // nil: nobody wants to know
}

// Resolve implements authn.Keychain.
func (k tellingKeychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), target)
}

// ResolveContext implements authn.ContextKeychain.
func (k tellingKeychain) ResolveContext(ctx context.Context, target authn.Resource) (authn.Authenticator, error) {
	auth, err := k.Keychain.ResolveContext(ctx, target)
	if k.w == nil {
		return auth, err
	}
	switch from, ok := auth.(interface{ Source() string }); {
	case err != nil:
		fmt.Fprintf(k.w, "debug: credentials for %s: %s\n", target, message(err))
	case ok:
		fmt.Fprintf(k.w, "debug: credentials for %s: from %s\n", target, from.Source())
	default:
		fmt.Fprintf(k.w, "debug: credentials for %s: none found, going on anonymously\n", target)
	}
	return auth, err
}

// pulling gives the builder what it needs for base images, and remembers from where.
type pulling struct {
	keychain *credentials.Keychain
	masked   *secretStore
	mu       sync.Mutex
	used     map[string]string // the source, by host
}

// find is an authprovider.AuthConfigProvider.
func (p *pulling) find(ctx context.Context, host string, scopes []string, _ authprovider.ExpireCachedAuthCheck) (types.AuthConfig, error) {
	target := credentials.NewTarget(host, repositoryOf(scopes))
	found, err := p.keychain.Find(ctx, target)
	if err != nil {
		return types.AuthConfig{}, fmt.Errorf("finding credentials for %s: %w", target, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if found == nil {
		if p.used[target.Host] == "" {
			p.used[target.Host] = "none found, so it asked anonymously"
		}
		return types.AuthConfig{}, nil
	}
	p.used[target.Host] = "those of " + found.Source
	for _, secret := range []string{found.Password, found.IdentityToken, found.RegistryToken} {
		maskPassword(p.masked, secret)
	}
	return types.AuthConfig{
		Username: found.Username, Password: found.Password,
		IdentityToken: found.IdentityToken, RegistryToken: found.RegistryToken,
	}, nil
}

// repositoryOf is the first repository that a scope of the token specification names:
// repository:NAME:ACTIONS.
func repositoryOf(scopes []string) string {
	for _, list := range scopes {
		for _, scope := range strings.Fields(list) {
			rest, ok := strings.CutPrefix(scope, "repository:")
			if i := strings.LastIndexByte(rest, ':'); ok && i > 0 {
				return rest[:i]
			}
		}
	}
	return ""
}

// sources says for each host that the builder asked about what it was given.
func (p *pulling) sources() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var lines []string
	for _, host := range slices.Sorted(maps.Keys(p.used)) {
		lines = append(lines, fmt.Sprintf("the builder's credentials for %s: %s", host, p.used[host]))
	}
	return lines
}

// minMaskedPassword is the shortest password that is masked. No step is given one, so
// what a step prints is a password only if somebody put it there, and then hardly a
// short one that is a word in every log.
const minMaskedPassword = 8

func maskPassword(s *secretStore, password string) {
	if len(password) >= minMaskedPassword {
		s.note([]byte(password))
	}
}
