package llb

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/types"
	"github.com/moby/buildkit/session/auth"
	"github.com/moby/buildkit/session/auth/authprovider"
	"golang.org/x/crypto/nacl/sign"
)

// TestTokensAreSharedByCredentials has a daemon ask two builds for their keys: it goes on
// with a token of the first if they have the same.
func TestTokensAreSharedByCredentials(t *testing.T) {
	dir := config.Dir()
	t.Cleanup(func() { config.SetDir(dir) })
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		dir    string
		shared bool
	}{
		"a home":  {t.TempDir(), true},
		"no home": {filepath.Join(file, "docker"), false}, // the runs know nothing of each other
	} {
		t.Run(name, func(t *testing.T) {
			config.SetDir(test.dir)
			build := func(password string) *pullAuth {
				b := newBases()
				b.announce("base.example.com/other/base:1")
				b.announce("base.example.com/team/base:1")
				return newPullAuth(Options{PullCredentials: func(_ context.Context, _ string, scopes []string, _ authprovider.ExpireCachedAuthCheck) (types.AuthConfig, error) {
					if len(scopes) == 1 && scopes[0] == "repository:team/base:pull" {
						return types.AuthConfig{Username: "captain", Password: password}, nil
					}
					return types.AuthConfig{Username: "everybody", Password: "known"}, nil
				}}, b)
			}
			salt := []byte("the daemon's")
			first := build("s3cret")
			resp, err := first.GetTokenAuthority(t.Context(), &auth.GetTokenAuthorityRequest{Host: "base.example.com", Salt: salt})
			if err != nil {
				t.Fatal(err)
			}
			key := [32]byte(resp.PublicKey)
			if resp, err := first.VerifyTokenAuthority(t.Context(), &auth.VerifyTokenAuthorityRequest{Host: "elsewhere.example.com", Salt: salt}); err == nil {
				t.Errorf("a build that names no image of a registry lets the daemon use tokens for it: %v", resp)
			}
			for _, other := range []struct {
				build *pullAuth
				want  bool
			}{{first, true}, {build("s3cret"), test.shared}, {build("an0ther"), false}} {
				payload := []byte("a question")
				resp, err := other.build.VerifyTokenAuthority(t.Context(), &auth.VerifyTokenAuthorityRequest{Host: "base.example.com", Salt: salt, Payload: payload})
				if err != nil {
					t.Fatal(err)
				}
				answer, ok := sign.Open(nil, resp.Signed, &key)
				if got := ok && bytes.Equal(answer, payload); got != other.want {
					t.Errorf("the daemon takes the builds for the same: %v, want %v", got, other.want)
				}
			}
		})
	}
}
