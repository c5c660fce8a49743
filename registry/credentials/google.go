package credentials

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/google"
)

// cloudLimit is how long a cloud may take to say who we are. Where there is no cloud
// its metadata server is asked in vain.
const cloudLimit = 10 * time.Second

// Where Google's credentials are from.
const (
	googleDefault = "Google's application default credentials"
	googleFile    = googleDefault + " (GOOGLE_APPLICATION_CREDENTIALS)"
	googleGcloud  = "gcloud's configuration"
)

// googleIdentity is a Source: application default credentials (a file, or the metadata
// server of where we run), and those that gcloud is configured with, for Google's
// registries. It is what google.Keychain does, but says which of them it was.
type googleIdentity struct {
	mu    sync.Mutex
	asked time.Time
	found *googleCredentials // nil for none
}

type googleCredentials struct {
	authn.Authenticator // keeps its token, and gets another one in time
	source              string
}

// Find implements Source.
func (g *googleIdentity) Find(ctx context.Context, target Target) (*Credentials, error) {
	type result struct {
		found *Credentials
		err   error
	}
	if !isGoogle(target.Host) {
		return nil, nil
	}
	done := make(chan result, 1)
	// What gets later tokens keeps its first context, so that must not end; a gcloud
	// that hangs is left to itself.
	go func() {
		found, err := g.find(context.WithoutCancel(ctx))
		done <- result{found, err}
	}()
	limited, cancel := context.WithTimeoutCause(ctx, cloudLimit, fmt.Errorf("asking Google for credentials for %s: no answer in %s", target.Host, cloudLimit))
	defer cancel()
	select {
	case r := <-done:
		if r.err != nil {
			return nil, fmt.Errorf("asking Google for credentials for %s: %w", target.Host, r.err)
		}
		return r.found, nil
	case <-limited.Done():
		return nil, context.Cause(limited)
	}
}

func (g *googleIdentity) find(ctx context.Context) (*Credentials, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.found == nil && (g.asked.IsZero() || time.Since(g.asked) > keep) {
		var err error
		if g.found, err = findGoogle(ctx); err != nil {
			return nil, err
		}
		g.asked = time.Now()
	}
	if g.found == nil {
		return nil, nil
	}
	config, err := g.found.Authorization()
	if err != nil {
		return nil, fmt.Errorf("with %s: %w", g.found.source, err)
	}
	return &Credentials{*config, g.found.source}, nil
}

// findGoogle is nil if there is no identity. A file that a variable names, and that is
// of no use, is an error; the rest may be there for other purposes.
func findGoogle(ctx context.Context) (*googleCredentials, error) {
	source, named := googleDefault, os.Getenv("GOOGLE_APPLICATION_CREDENTIALS") != ""
	if named {
		source = googleFile
	}
	auth, err := google.NewEnvAuthenticator(ctx)
	if err == nil {
		return &googleCredentials{auth, source}, nil
	}
	if named {
		return nil, fmt.Errorf("with %s: %w", source, err)
	}
	auth, err = google.NewGcloudAuthenticator(ctx)
	if err != nil || auth == authn.Anonymous {
		return nil, nil // nobody is logged in
	}
	return &googleCredentials{auth, googleGcloud}, nil
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
