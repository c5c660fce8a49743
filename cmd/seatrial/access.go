package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/registry"
	"github.com/seatrial/seatrial/registry/credentials"
)

// access is how registries are reached, and as whom.
type access struct {
	pushing authn.Keychain
	pulls   authn.Keychain // for what is pulled here
	pulling *pulling       // for what the builder pulls
	hosts   *registry.Hosts
}

// registries understands the flags about registries, and reads what they name.
func (p *plan) registries(c *cli.Context) error {
	hosts := hostsOf(p.refs)
	both, pull, err := p.logins(c, hosts)
	if err != nil {
		return err
	}
	sources, err := credentials.Default(os.Getenv)
	if errors.Is(err, fs.ErrNotExist) {
		return usagef("docker login and podman login write it; without the variable, others are looked for", "%w", err)
	}
	if err != nil {
		return usagef("its content is that of Docker's config.json: {\"auths\": {\"HOST\": {\"auth\": \"…\"}}}", "%w", err)
	}
	if credentials.IsContent(os.Getenv("DOCKER_CONFIG")) {
		// Whatever reads it from here on, programs that we start among them,
		// takes it for a path, and may print it.
		if err := os.Unsetenv("DOCKER_CONFIG"); err != nil {
			return fmt.Errorf("hiding DOCKER_CONFIG: %w", err)
		}
	}
	push := credentials.NewKeychain(append([]credentials.Source{both}, sources...)...)
	pulls := credentials.NewKeychain(append([]credentials.Source{pull, both}, sources...)...)
	p.access = &access{
		pushing: tellingKeychain{Keychain: push}, pulls: pulls,
		pulling: &pulling{keychain: pulls, masked: &secretStore{}, used: map[string]string{}},
	}
	for _, l := range slices.Concat(both, pull) {
		maskPassword(p.access.pulling.masked, l.Password)
	}
	if p.debug {
		p.access.pushing = tellingKeychain{push, c.App.ErrWriter}
	}
	if p.access.hosts, err = p.registryHosts(c, hosts); err != nil {
		return err
	}
	p.build.PullCredentials, p.build.TokenTransport = p.access.pulling.find, p.access.hosts.For
	return nil
}

// registryHosts reads certificates: those for all registries, and those of the hosts
// that the image goes to.
func (p *plan) registryHosts(c *cli.Context, hosts []string) (*registry.Hosts, error) {
	opt := registry.HostOptions{
		CAs: c.StringSlice("registry-ca"), Insecure: c.StringSlice("insecure-registry"),
		CertDirs: append(slices.Clone(c.StringSlice("registry-certs")), certDirs(os.Getenv)...),
	}
	for _, host := range opt.Insecure {
		if _, err := name.NewRegistry(host); err != nil || strings.ContainsAny(host, "/ ") {
			return nil, usagef("it looks like registry.example.com:5000, without http:// and path", "--insecure-registry %q is no host", host)
		}
	}
	if p.outputs.http {
		opt.Insecure = append(opt.Insecure, hosts...)
	}
	for _, dir := range c.StringSlice("registry-certs") {
		if _, err := os.ReadDir(dir); err != nil {
			return nil, usagef("", "--registry-certs: %w", err)
		}
	}
	all, err := registry.NewHosts(opt)
	if err != nil {
		return nil, usagef(certRemedy(err, "it takes a file with certificates as PEM: -----BEGIN CERTIFICATE-----"), "--registry-ca: %w", err)
	}
	for _, host := range hosts {
		err := all.Check(host)
		var proxy *registry.ProxyError
		if errors.As(err, &proxy) {
			return nil, usagef(fmt.Sprintf("it looks like http://proxy.example.com:3128, with USER:PASSWORD@ before the host if need be; NO_PROXY=%s goes there without one", host), "%w", err)
		}
		if err != nil {
			return nil, usagef(certRemedy(err, "*.crt are CAs, *.cert client certificates, each with its key beside it in *.key; hosts.toml is what containerd has"), "certificates for %s: %w", host, err)
		}
	}
	return all, nil
}

func certRemedy(err error, otherwise string) string {
	if errors.Is(err, fs.ErrPermission) {
		return "make it readable for the user that runs seatrial"
	}
	return otherwise
}

// certDirs are where Docker, Podman and containerd have certificates for registries;
// the user's own first.
func certDirs(getenv func(string) string) []string {
	var dirs []string
	config := getenv("XDG_CONFIG_HOME")
	if home := getenv("HOME"); config == "" && home != "" {
		config = filepath.Join(home, ".config")
	}
	if config != "" {
		dirs = append(dirs, filepath.Join(config, "containers", "certs.d"), filepath.Join(config, "docker", "certs.d"))
	}
	return append(dirs, "/etc/containers/certs.d", "/etc/docker/certs.d", "/etc/containerd/certs.d")
}

// hostsOf are the registries of the references, each once.
func hostsOf(refs []name.Reference) []string {
	var hosts []string
	for _, ref := range refs {
		if host := ref.Context().RegistryStr(); !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// pushOptions are those of every push.
func (a *access) pushOptions() registry.Options {
	return registry.Options{Keychain: a.pushing, Transport: a.hosts}
}

// redaction masks secrets, and the passwords of registries, in all that is shown and
// brought back. It is the last step: Compose files have secrets, too.
func (p *plan) redaction(*cli.Context) error {
	p.build.Redact = p.access.pulling.masked.redact
	all := p.build.Redact
	if p.secrets != nil {
		p.build.Redact, all = redactBoth(p.secrets.redact, all), redactBoth(p.secrets.redactAny, all)
	}
	if p.suite != nil {
		p.suite.Redact = all
	}
	return nil
}

func redactBoth(first, second func([]byte) []byte) func([]byte) []byte {
	return func(data []byte) []byte { return second(first(data)) }
}
