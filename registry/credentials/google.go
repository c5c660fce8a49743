package credentials

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/google"
)

// cloudLimit is how long a cloud may take to say who we are. Where there is no cloud
// its metadata server is asked in vain.
const cloudLimit = 10 * time.Second

// googleIdentity is a Source: application default credentials, and gcloud's, for
// Google's registries.
type googleIdentity struct{}

// Find implements Source.
func (googleIdentity) Find(ctx context.Context, target Target) (*Credentials, error) {
	type result struct {
		auth *authn.AuthConfig
		err  error
	}
	if !isGoogle(target.Host) {
		return nil, nil
	}
	done := make(chan result, 1)
	// The keychain keeps its first context for later tokens, so that must not end;
	// a gcloud that hangs is left to itself.
	go func() {
		auth, err := authn.Resolve(context.WithoutCancel(ctx), google.Keychain, resource{target})
		if err != nil || auth == authn.Anonymous {
			done <- result{nil, err}
			return
		}
		config, err := auth.Authorization()
		done <- result{config, err}
	}()
	limited, cancel := context.WithTimeoutCause(ctx, cloudLimit, fmt.Errorf("asking Google for credentials for %s: no answer in %s", target.Host, cloudLimit))
	defer cancel()
	select {
	case r := <-done:
		if r.err != nil {
			return nil, fmt.Errorf("asking Google for credentials for %s: %w", target.Host, r.err)
		}
		if r.auth == nil {
			return nil, nil
		}
		return &Credentials{*r.auth, "Google's application default credentials"}, nil
	case <-limited.Done():
		return nil, context.Cause(limited)
	}
}

// isGoogle is what google.Keychain asks of a host, before it asks any cloud.
func isGoogle(host string) bool {
	for _, domain := range []string{".gcr.io", ".pkg.dev", ".google.com"} {
		if strings.HasSuffix("."+host, domain) {
			return true
		}
	}
	return false
}

// resource is a Target as go-containerregistry knows it.
type resource struct{ Target }

func (r resource) RegistryStr() string { return r.Host }
