package credentials

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// auths is the content of a configuration; pairs are keys and user names.
func auths(pairs ...string) string {
	var entries []string
	for i := 0; i < len(pairs); i += 2 {
		auth := base64.StdEncoding.EncodeToString([]byte(pairs[i+1] + ":secret"))
		entries = append(entries, fmt.Sprintf("%q:{\"auth\":%q}", pairs[i], auth))
	}
	return `{"auths":{` + strings.Join(entries, ",") + `}}`
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o700); err != nil {
		t.Fatal(err)
	}
}

// find is the user and the source for a repository, and "anonymous" for none.
func find(t *testing.T, env map[string]string, host, path string) string {
	t.Helper()
	sources, err := Default(func(name string) string { return env[name] })
	if err != nil {
		t.Fatalf("Default: %v", err)
	}
	c, err := NewKeychain(sources...).Find(t.Context(), NewTarget(host, path))
	if err != nil {
		return "error: " + err.Error()
	}
	if c == nil {
		return "anonymous"
	}
	return c.Username + " from " + c.Source
}

// Each place is taken away in turn; the next one then counts.
func TestOrder(t *testing.T) {
	home, runtime := t.TempDir(), t.TempDir()
	const host = "registry.example.com"
	write(t, filepath.Join(home, ".docker/config.json"), auths(host, "docker"))
	write(t, filepath.Join(home, ".config/containers/auth.json"), auths(host, "config"))
	write(t, filepath.Join(runtime, "containers/auth.json"), auths(host, "runtime"))
	write(t, filepath.Join(home, "auth.json"), auths(host, "file"))
	env := map[string]string{
		"HOME": home, "XDG_RUNTIME_DIR": runtime, "REGISTRY_AUTH_FILE": filepath.Join(home, "auth.json"),
		"DOCKER_CONFIG": auths(host, "content"), "DOCKER_AUTH_CONFIG": auths(host, "variable"),
		"CI_REGISTRY": host, "CI_REGISTRY_USER": "gitlab", "CI_REGISTRY_PASSWORD": "secret",
	}
	for _, step := range []struct{ want, remove string }{
		{"content from DOCKER_CONFIG (registry.example.com)", "DOCKER_CONFIG"},
		{"variable from DOCKER_AUTH_CONFIG (registry.example.com)", "DOCKER_AUTH_CONFIG"},
		{"file from " + home + "/auth.json (registry.example.com)", "REGISTRY_AUTH_FILE"},
		{"docker from " + home + "/.docker/config.json (registry.example.com)", ".docker/config.json"},
		{"runtime from " + runtime + "/containers/auth.json (registry.example.com)", "XDG_RUNTIME_DIR"},
		{"config from " + home + "/.config/containers/auth.json (registry.example.com)", ".config/containers/auth.json"},
		{"gitlab from CI_REGISTRY_USER and CI_REGISTRY_PASSWORD", "CI_REGISTRY_PASSWORD"},
		{"anonymous", ""},
	} {
		if got := find(t, env, host, "team/app"); got != step.want {
			t.Errorf("found %q, want %q", got, step.want)
		}
		delete(env, step.remove)
		_ = os.Remove(filepath.Join(home, step.remove)) // if it is a file
	}
}

func TestKeysOfFiles(t *testing.T) {
	content := auths("registry.example.com", "host", "registry.example.com/team", "team", "registry.example.com/team/app", "app",
		"https://old.example.com/v1/", "old", "https://index.docker.io/v1/", "hub", "docker.io/mine", "mine", "v.example.com/v2/", "v2")
	for _, test := range []struct{ host, path, want string }{
		{"registry.example.com", "team/app", "app"},
		{"registry.example.com", "team/app/deep", "app"},
		{"registry.example.com", "team/application", "team"},
		{"registry.example.com", "teams/app", "host"},
		{"registry.example.com", "", "host"},
		{"registry.example.com:5000", "team/app", "anonymous"},
		{"registry.example.com.evil.example", "team/app", "anonymous"},
		{"old.example.com", "a/b", "old"},
		{"v.example.com", "a", "v2"},
		{"docker.io", "library/busybox", "hub"},
		{"registry-1.docker.io", "mine/app", "mine"},
		{"index.docker.io", "mine/app", "mine"},
	} {
		got, _, _ := strings.Cut(find(t, map[string]string{"DOCKER_AUTH_CONFIG": content}, test.host, test.path), " from ")
		if got != test.want {
			t.Errorf("%s/%s: found %q, want %q", test.host, test.path, got, test.want)
		}
	}
	// ~/.dockercfg, whose content tutum/builder took.
	old := `{"https://index.docker.io/v1/": {"auth": "` + base64.StdEncoding.EncodeToString([]byte("captain:secret")) + `", "email": "c@example.com"}}`
	if got := find(t, map[string]string{"DOCKER_CONFIG": old}, "docker.io", "me/app"); got != "captain from DOCKER_CONFIG (index.docker.io)" {
		t.Errorf("found %q in the old format", got)
	}
}

// An identity is for its own registry, whatever a host looks like.
func TestIdentitiesKeepToTheirRegistries(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	env := map[string]string{
		"GITHUB_TOKEN": "secret", "GITHUB_ACTOR": "octocat",
		"CI_REGISTRY": "gitlab.example.com:5050", "CI_REGISTRY_USER": "job", "CI_REGISTRY_PASSWORD": "secret",
		"CI_DEPENDENCY_PROXY_SERVER": "gitlab.example.com:443", "CI_DEPENDENCY_PROXY_USER": "proxy", "CI_DEPENDENCY_PROXY_PASSWORD": "secret",
		"AZURE_CLIENT_ID": "principal", "AZURE_CLIENT_SECRET": "secret",
	}
	for host, want := range map[string]string{
		"ghcr.io":                 "octocat from GITHUB_TOKEN",
		"ghcr.io.example.com":     "anonymous",
		"evil-ghcr.io":            "anonymous",
		"github.com":              "anonymous",
		"ghcr.io:5000":            "anonymous",
		"gitlab.example.com:5050": "job from CI_REGISTRY_USER and CI_REGISTRY_PASSWORD",
		"gitlab.example.com:443":  "proxy from CI_DEPENDENCY_PROXY_USER and CI_DEPENDENCY_PROXY_PASSWORD",
		"gitlab.example.com":      "anonymous",
		"acme.azurecr.io":         "principal from AZURE_CLIENT_ID and AZURE_CLIENT_SECRET",
		"azurecr.io.example.com":  "anonymous",
		"docker.io":               "anonymous",
	} {
		if got := find(t, env, host, "acme/app"); got != want {
			t.Errorf("%s: found %q, want %q", host, got, want)
		}
	}
	env = map[string]string{"CI_REGISTRY_USER": "job", "CI_REGISTRY_PASSWORD": "secret"}
	if got := find(t, env, "", ""); got != "anonymous" {
		t.Errorf("without CI_REGISTRY: found %q", got)
	}
}

// Azure's helper is asked without being named anywhere: for Azure's registries, with
// the address of the registry, and after a principal in the environment.
func TestAzureHelper(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	helper := filepath.Join(dir, "docker-credential-acr-env")
	write(t, helper, `#!/bin/sh
read host
echo "$host" >>`+dir+`/asked
case $host in
none.azurecr.io) echo "credentials not found in native keychain"; exit 1 ;;
down.azurecr.io) echo "no identity endpoint" >&2; exit 1 ;;
esac
printf '{"Username":"00000000-0000-0000-0000-000000000000","Secret":"token"}'
`)
	for host, want := range map[string]string{
		"acme.azurecr.io":        "00000000-0000-0000-0000-000000000000 from docker-credential-acr-env",
		"acme.azurecr.cn":        "00000000-0000-0000-0000-000000000000 from docker-credential-acr-env",
		"none.azurecr.io":        "anonymous",
		"azurecr.io.example.com": "anonymous",
		"docker.io":              "anonymous",
	} {
		if got := find(t, nil, host, "acme/app"); got != want {
			t.Errorf("%s: found %q, want %q", host, got, want)
		}
	}
	principal := map[string]string{"AZURE_CLIENT_ID": "principal", "AZURE_CLIENT_SECRET": "secret"}
	if got := find(t, principal, "down.azurecr.io", "acme/app"); !strings.HasPrefix(got, "principal from ") {
		t.Errorf("with a principal: found %q", got)
	}
	asked, err := os.ReadFile(filepath.Join(dir, "asked"))
	if err != nil {
		t.Fatal(err)
	}
	hosts := strings.Fields(string(asked))
	slices.Sort(hosts)
	if want := []string{"acme.azurecr.cn", "acme.azurecr.io", "none.azurecr.io"}; !slices.Equal(hosts, want) {
		t.Errorf("the helper was asked for %q, want %q", hosts, want)
	}
}

// ECR is asked through the AWS SDK, with the identity that it finds.
func TestAmazon(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if got := r.Header.Get("Authorization"); !strings.Contains(got, "AKIDEXAMPLE") || !strings.Contains(got, "/eu-west-1/ecr/") {
			t.Errorf("the request is signed %q", got)
		}
		token := base64.StdEncoding.EncodeToString([]byte("AWS:registry-password"))
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		fmt.Fprintf(w, `{"authorizationData":[{"authorizationToken":%q}]}`, token)
	}))
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_ENDPOINT_URL_ECR": server.URL,
		"AWS_CONFIG_FILE": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere", "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
	sources, err := Default(func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	keychain := NewKeychain(sources...)
	for range 2 {
		c, err := keychain.Find(t.Context(), NewTarget("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "app"))
		if err != nil || c == nil || c.Username != "AWS" || c.Password != "registry-password" || c.Source != amazonSource {
			t.Fatalf("Find = %v, %v", c, err)
		}
	}
	if asked != 1 {
		t.Errorf("AWS was asked %d times, want once", asked)
	}
	if c, err := keychain.Find(t.Context(), NewTarget("123456789012.dkr.ecr.eu-west-1.amazonaws.com.example.com", "app")); c != nil || err != nil {
		t.Errorf("another host: Find = %v, %v, want nothing", c, err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	if c, err := NewKeychain(&amazonIdentity{answers: map[string]answer{}}).Find(t.Context(), NewTarget("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "app")); c != nil || err != nil {
		t.Errorf("without an identity: Find = %v, %v, want nothing", c, err)
	}
	t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/pusher")
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere/token")
	find := NewKeychain(&amazonIdentity{answers: map[string]answer{}}).Find
	if c, err := find(t.Context(), NewTarget("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "app")); err == nil || !strings.Contains(err.Error(), "with AWS_WEB_IDENTITY_TOKEN_FILE: ") || !strings.Contains(err.Error(), "/nowhere/token") {
		t.Errorf("with an identity of no use: Find = %v, %v, want an error that says why", c, err)
	}
	if c, err := find(t.Context(), NewTarget("public.ecr.aws", "app")); c != nil || err != nil {
		t.Errorf("for what everybody may pull: Find = %v, %v, want nothing", c, err)
	}
}

func TestWrongConfigurations(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "broken.json"), `{"auths": "hunter2"`)
	for name, env := range map[string]map[string]string{
		"DOCKER_AUTH_CONFIG":              {"DOCKER_AUTH_CONFIG": `{"auths": {"h": {"auth": "hunter2`},
		"DOCKER_CONFIG":                   {"DOCKER_CONFIG": `{"auths": {"h": "hunter2"}}`},
		"REGISTRY_AUTH_FILE":              {"REGISTRY_AUTH_FILE": filepath.Join(dir, "absent.json")},
		"reading DOCKER_CONFIG, " + dir:   {"DOCKER_CONFIG": filepath.Join(dir, "broken.json")},
		filepath.Join(dir, "broken.json"): {"REGISTRY_AUTH_FILE": filepath.Join(dir, "broken.json")},
	} {
		_, err := Default(func(name string) string { return env[name] })
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Default = %v, want an error that names %s and not the content", err, name)
		}
	}
}

func TestHelpers(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	helper := func(name, script string) {
		write(t, filepath.Join(bin, helperPrefix+name), "#!/bin/sh\nread server\n"+script+"\n")
	}
	helper("good", `echo "$server" >>`+bin+`/asked; echo '{"Username":"helped","Secret":"hunter2"}'`)
	helper("token", `echo '{"Username":"<token>","Secret":"hunter2"}'`)
	helper("empty", `echo credentials not found in native keychain; exit 1`)
	helper("bad", `echo the vault is sealed; exit 1`)
	helper("leaky", `echo '{"Secret":"hunter2"}'; exit 1`)
	helper("garbled", `echo hunter2`)
	helper("traced", "set -x\nSECRET=hunter2\necho the vault is sealed >&2; exit 1")
	helper("endless", `exec cat /dev/zero`)
	helper("talkative", `cat /dev/zero >&2; echo '{"Username":"helped","Secret":"hunter2"}'`)
	helper("hung", `exec sleep 1000`)
	for _, test := range []struct{ helper, want string }{
		{"good", "helped"},
		{"token", ""},
		{"empty", "fallback"},
		{"absent", "error: credential helper docker-credential-absent for registry.example.com is not on PATH (DOCKER_AUTH_CONFIG names it)"},
		{"bad", "error: credential helper docker-credential-bad failed for registry.example.com: exit status 1: the vault is sealed"},
		{"leaky", "error: credential helper docker-credential-leaky failed for registry.example.com: exit status 1"},
		{"traced", "error: credential helper docker-credential-traced failed for registry.example.com: exit status 1: the vault is sealed"},
		{"endless", "error: credential helper docker-credential-endless says more than 1048576 bytes for registry.example.com"},
		{"talkative", "error: credential helper docker-credential-talkative says more than 1048576 bytes for registry.example.com"},
		{"garbled", "error: credential helper docker-credential-garbled: its answer for registry.example.com is no JSON"},
	} {
		content := `{"credHelpers":{"registry.example.com":"` + test.helper + `"},` + auths("registry.example.com", "fallback", "registry.example.com/exact", "exact")[1:]
		got := find(t, map[string]string{"DOCKER_AUTH_CONFIG": content}, "registry.example.com", "a")
		if user, _, _ := strings.Cut(got, " from "); user != test.want && !(strings.HasPrefix(test.want, "error") && strings.HasPrefix(got, test.want)) {
			t.Errorf("helper %s: found %q, want %q", test.helper, got, test.want)
		}
		if strings.Contains(got, "hunter2") {
			t.Errorf("helper %s: the secret is in %q", test.helper, got)
		}
		if got := find(t, map[string]string{"DOCKER_AUTH_CONFIG": content}, "registry.example.com", "exact/a"); !strings.HasPrefix(got, "exact from") {
			t.Errorf("helper %s: for a repository with credentials of its own, found %q", test.helper, got)
		}
	}

	h := newHelpers(50 * time.Millisecond)
	_, err := h.get(t.Context(), "hung", "registry.example.com")
	if err == nil || err.Error() != "credential helper docker-credential-hung has not answered for registry.example.com in 50ms" {
		t.Errorf("a helper that hangs: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(fmt.Errorf("interrupted"))
	if _, err := newHelpers(time.Hour).get(ctx, "hung", "registry.example.com"); err == nil || err.Error() != "interrupted" {
		t.Errorf("interrupted: %v", err)
	}

	_ = os.Remove(bin + "/asked")
	sources, err := Default(func(name string) string {
		return map[string]string{"DOCKER_AUTH_CONFIG": `{"credsStore":"good"}`}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []Target{NewTarget("a.example.com", "x"), NewTarget("a.example.com", "y"), NewTarget("docker.io", "z")} {
		if c, err := NewKeychain(sources...).Find(t.Context(), target); err != nil || c.Password != "hunter2" {
			t.Errorf("Find(%s) = %v, %v", target, c, err)
		}
	}
	asked, err := os.ReadFile(bin + "/asked")
	if want := "a.example.com\nhttps://index.docker.io/v1/\n"; err != nil || string(asked) != want {
		t.Errorf("the helper was asked for %q, %v, want %q", asked, err, want)
	}
}
