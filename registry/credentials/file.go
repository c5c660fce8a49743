package credentials

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// file is a Source: Docker's config.json, Podman's auth.json, or their content in a
// variable. A key that names repositories counts before one that names the host.
type file struct {
	name    string // of the file or variable
	helpers *helpers
	config  func() (*configfile.ConfigFile, error)
}

// newContent reads what a variable holds.
func newContent(variable, content string, h *helpers) (*file, error) {
	config, err := parse([]byte(content))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", variable, err)
	}
	return &file{variable, h, func() (*configfile.ConfigFile, error) { return config, nil }}, nil
}

// newFile reads the file when it is needed first. One that is not there has nothing.
func newFile(path string, h *helpers) *file {
	return &file{path, h, sync.OnceValues(func() (*configfile.ConfigFile, error) {
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return configfile.New(""), nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading credentials: %w", err)
		}
		config, err := parse(content)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		return config, nil
	})}
}

// parse reads Docker's configuration, the one before it (~/.dockercfg) as well: what
// is in "auths" today was all there was.
func parse(content []byte) (*configfile.ConfigFile, error) {
	config := configfile.New("")
	if err := config.LoadFromReader(bytes.NewReader(content)); err != nil {
		return nil, wrongEntry(content, quiet(err))
	}
	var old map[string]types.AuthConfig
	if config.ContainsAuth() || json.Unmarshal(content, &old) != nil {
		return config, nil
	}
	whole, err := json.Marshal(map[string]json.RawMessage{"auths": content})
	if err != nil {
		return nil, quiet(err)
	}
	config = configfile.New("")
	if err := config.LoadFromReader(bytes.NewReader(whole)); err != nil {
		return nil, wrongEntry(whole, quiet(err))
	}
	return config, nil
}

// wrongEntry is err with the registry whose entry it is about, if it is about one: the
// file may be a pipeline's secret, which nobody can look into.
func wrongEntry(content []byte, err error) error {
	var all struct {
		Auths map[string]json.RawMessage `json:"auths"`
	}
	if json.Unmarshal(content, &all) != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(all.Auths)) {
		alone, failed := json.Marshal(map[string]any{"auths": map[string]json.RawMessage{key: all.Auths[key]}})
		if failed == nil && configfile.New("").LoadFromReader(bytes.NewReader(alone)) != nil {
			return fmt.Errorf("the entry of %s: %w", key, err)
		}
	}
	return err
}

// quiet is err without what it may quote of the content.
func quiet(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return fmt.Errorf("%s has a value of the wrong type at byte %d", wrong.Field, wrong.Offset)
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("it is no JSON at byte %d", syntax.Offset)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it is no JSON: its end is missing")
	}
	return err
}

// Find implements Source.
func (f *file) Find(ctx context.Context, target Target) (*Credentials, error) {
	config, err := f.config()
	if err != nil {
		return nil, err
	}
	for scope := target.String(); ; {
		if scope == target.Host {
			if c, err := f.fromHelper(ctx, config, target.Host); c != nil || err != nil {
				return c, err
			}
		}
		for _, key := range slices.Sorted(maps.Keys(config.AuthConfigs)) {
			auth := config.AuthConfigs[key]
			if scopeOf(key) == scope && (auth.Username != "" || auth.IdentityToken != "" || auth.RegistryToken != "") {
				return &Credentials{authConfig(auth), f.name + " (" + scope + ")"}, nil
			}
		}
		i := strings.LastIndexByte(scope, '/')
		if i < 0 {
			return nil, nil
		}
		scope = scope[:i]
	}
}

// fromHelper asks the helper of the host, or the one of all hosts.
func (f *file) fromHelper(ctx context.Context, config *configfile.ConfigFile, host string) (*Credentials, error) {
	helper := config.CredentialsStore
	for key, value := range config.CredentialHelpers {
		if scopeOf(key) == host {
			helper = value
		}
	}
	if helper == "" {
		return nil, nil
	}
	auth, err := f.helpers.get(ctx, helper, host)
	if err != nil {
		return nil, fmt.Errorf("%w (%s names it)", err, f.name)
	}
	if auth == nil {
		return nil, nil
	}
	return &Credentials{*auth, helperPrefix + helper + " (of " + f.name + ")"}, nil
}

func authConfig(a types.AuthConfig) authn.AuthConfig {
	return authn.AuthConfig{Username: a.Username, Password: a.Password, IdentityToken: a.IdentityToken, RegistryToken: a.RegistryToken}
}

// scopeOf is a key of such a file as HOST or HOST/PATH. One with a scheme is a
// host's, as for Docker; one without may name repositories, as for Podman.
func scopeOf(key string) string {
	rest, isURL := strings.CutPrefix(key, "https://")
	if !isURL {
		rest, isURL = strings.CutPrefix(key, "http://")
	}
	host, path, _ := strings.Cut(strings.TrimRight(rest, "/"), "/")
	if isURL || path == "v1" || path == "v2" {
		path = ""
	}
	if host == "" {
		host = name.DefaultRegistry
	}
	return NewTarget(host, path).String()
}
