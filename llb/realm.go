package llb

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	authutil "github.com/containerd/containerd/v2/core/remotes/docker/auth"
)

// trustRealm makes sure that a token server is the registry's. The daemon names it,
// and whoever is named gets to see the password: a registry on another host is asked
// itself.
func trustRealm(ctx context.Context, transport http.RoundTripper, host, realm string) error {
	u, err := url.Parse(realm)
	if err != nil {
		return fmt.Errorf("the builder names no token server for %s: its address is wrong", host)
	}
	if u.Host == host {
		return nil
	}
	client := &http.Client{Transport: transport, CheckRedirect: noRedirect}
	var resp *http.Response
	for _, scheme := range []string{"https", "http"} { // the transport refuses the latter where it is not safe
		req, rerr := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+host+"/v2/", nil)
		if rerr != nil {
			return rerr
		}
		if resp, err = client.Do(req); err == nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("asking %s for its token server: %w", host, err)
	}
	defer resp.Body.Close()
	for _, challenge := range authutil.ParseAuthHeader(resp.Header) {
		if challenge.Scheme == authutil.BearerAuth && challenge.Parameters["realm"] == realm {
			return nil
		}
	}
	return fmt.Errorf("the builder says that %s gives tokens for %s; the registry does not say so, and no credentials are sent there", u.Host, host)
}

// noRedirect keeps a password from being sent on to another place.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
