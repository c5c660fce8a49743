package credentials

import (
	"context"

	"github.com/google/go-containerregistry/pkg/authn"
)

// Login is a user name and password for a registry, or for repositories there.
type Login struct {
	Scope          string // "HOST" or "HOST/PATH"
	User, Password string
	Source         string // as in Credentials
}

// Logins are a Source; the one with the longest scope counts, of several the first.
type Logins []Login

// Find implements Source.
func (l Logins) Find(_ context.Context, target Target) (*Credentials, error) {
	var found *Credentials
	longest := -1
	for _, login := range l {
		if scope := scopeOf(login.Scope); target.within(scope) && len(scope) > longest {
			longest = len(scope)
			found = &Credentials{
				AuthConfig: authn.AuthConfig{Username: login.User, Password: login.Password},
				Source:     login.Source,
			}
		}
	}
	return found, nil
}

// SameScope tells whether two scopes are one: Docker Hub has several names.
func SameScope(a, b string) bool { return scopeOf(a) == scopeOf(b) }
