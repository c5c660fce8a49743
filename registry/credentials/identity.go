package credentials

import (
	"context"
	"os/exec"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
)

// identity is a Source: credentials that a pipeline has in its environment, for the
// registry that belongs to it and no other.
type identity struct {
	owns           func(host string) bool
	user, password string
	source         string
}

// Find implements Source.
func (i identity) Find(_ context.Context, target Target) (*Credentials, error) {
	if i.password == "" || !i.owns(target.Host) {
		return nil, nil
	}
	return &Credentials{authn.AuthConfig{Username: i.user, Password: i.password}, i.source}, nil
}

func is(want string) func(string) bool {
	return func(host string) bool { return want != "" && host == want }
}

// identities of GitLab, GitHub and Azure.
func identities(getenv func(string) string, h *helpers) []Source {
	actor := getenv("GITHUB_ACTOR")
	if actor == "" {
		actor = "x-access-token" // any will do, but none
	}
	return []Source{
		identity{is(getenv("CI_REGISTRY")), getenv("CI_REGISTRY_USER"), getenv("CI_REGISTRY_PASSWORD"), "CI_REGISTRY_USER and CI_REGISTRY_PASSWORD"},
		identity{
			is(getenv("CI_DEPENDENCY_PROXY_SERVER")), getenv("CI_DEPENDENCY_PROXY_USER"), getenv("CI_DEPENDENCY_PROXY_PASSWORD"),
			"CI_DEPENDENCY_PROXY_USER and CI_DEPENDENCY_PROXY_PASSWORD",
		},
		identity{is("ghcr.io"), actor, getenv("GITHUB_TOKEN"), "GITHUB_TOKEN"},
		// The registry takes a service principal for a user.
		identity{isAzure, getenv("AZURE_CLIENT_ID"), getenv("AZURE_CLIENT_SECRET"), "AZURE_CLIENT_ID and AZURE_CLIENT_SECRET"},
		azureHelper{h},
	}
}

func isAzure(host string) bool {
	for _, domain := range []string{".azurecr.io", ".azurecr.cn", ".azurecr.us", ".azurecr.de"} {
		if strings.HasSuffix(host, domain) {
			return true
		}
	}
	return false
}

// azureHelper knows workload and managed identities. It need not be named in a
// configuration if it is there.
type azureHelper struct{ helpers *helpers }

const azureHelperName = "acr-env"

// Find implements Source.
func (a azureHelper) Find(ctx context.Context, target Target) (*Credentials, error) {
	if !isAzure(target.Host) {
		return nil, nil
	}
	if _, err := exec.LookPath(helperPrefix + azureHelperName); err != nil {
		return nil, nil
	}
	auth, err := a.helpers.get(ctx, azureHelperName, target.Host)
	if auth == nil || err != nil {
		return nil, err
	}
	return &Credentials{*auth, helperPrefix + azureHelperName}, nil
}
