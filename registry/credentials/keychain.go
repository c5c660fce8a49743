package credentials

import (
	"context"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// Target is what credentials are wanted for.
type Target struct {
	Host string // as "registry.example.com:5000"; Docker Hub is "index.docker.io"
	Path string // of the repository, "team/app"; "" for the registry as a whole
}

// NewTarget is a repository; the host may be any name that Docker Hub has.
func NewTarget(host, path string) Target {
	switch host {
	case "docker.io", "registry-1.docker.io":
		host = name.DefaultRegistry
	}
	return Target{Host: host, Path: path}
}

// within tells whether the target is the scope, "HOST" or "HOST/PATH", or below it.
func (t Target) within(scope string) bool {
	whole := t.String()
	return whole == scope || strings.HasPrefix(whole, scope+"/")
}

// String is the target as references name it.
func (t Target) String() string {
	if t.Path == "" {
		return t.Host
	}
	return t.Host + "/" + t.Path
}

// Credentials are what a source has.
type Credentials struct {
	authn.AuthConfig
	// Source says where they are from, as "GITHUB_TOKEN" or the path of a file.
	// It is fit to be shown.
	Source string
}

// Source is a place where credentials may be.
type Source interface {
	// Find is nil if the source has nothing for the target. An error ends the
	// search: it says that there should be something.
	Find(ctx context.Context, target Target) (*Credentials, error)
}

// Keychain asks its sources one after the other. It implements
// authn.ContextKeychain.
type Keychain struct{ sources []Source }

// NewKeychain asks the sources in their order.
func NewKeychain(sources ...Source) *Keychain { return &Keychain{sources: sources} }

// Find is nil if no source has anything.
func (k *Keychain) Find(ctx context.Context, target Target) (*Credentials, error) {
	for _, s := range k.sources {
		if c, err := s.Find(ctx, target); c != nil || err != nil {
			return c, err
		}
	}
	return nil, nil
}

// Resolve implements authn.Keychain.
func (k *Keychain) Resolve(res authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), res)
}

// ResolveContext implements authn.ContextKeychain. The authenticator has a method
// Source that says where the credentials are from; it is authn.Anonymous if there
// are none.
func (k *Keychain) ResolveContext(ctx context.Context, res authn.Resource) (authn.Authenticator, error) {
	host := res.RegistryStr()
	target := NewTarget(host, strings.TrimPrefix(strings.TrimPrefix(res.String(), host), "/"))
	c, err := k.Find(ctx, target)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return authn.Anonymous, nil
	}
	return &authenticator{keychain: k, target: target, source: c.Source}, nil
}

// authenticator looks anew whenever a token is to be had: a long build outlives what
// a cloud gives. The sources remember what is expensive to find.
type authenticator struct {
	keychain *Keychain
	target   Target
	source   string
}

func (a *authenticator) Source() string { return a.source }

func (a *authenticator) Authorization() (*authn.AuthConfig, error) {
	return a.AuthorizationContext(context.Background())
}

func (a *authenticator) AuthorizationContext(ctx context.Context) (*authn.AuthConfig, error) {
	c, err := a.keychain.Find(ctx, a.target)
	if err != nil || c == nil {
		return &authn.AuthConfig{}, err
	}
	return &c.AuthConfig, nil
}
