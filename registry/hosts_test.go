package registry_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// tryPush pushes something, and returns what went wrong.
func tryPush(t *testing.T, opt registry.HostOptions, reg *testenv.Registry) error {
	t.Helper()
	hosts, err := registry.NewHosts(opt)
	if err != nil {
		t.Fatalf("NewHosts(%+v): %v", opt, err)
	}
	p := newPush(t, registry.Options{Transport: hosts, Keychain: reg.Keychain(), Attempts: 1}, reg.Host+"/deep/er/team/app:1")
	_, err = p.Commit(t.Context(), testenv.RandomImage(t, 1, 1024))
	return err
}

// certDir is a folder of folders for hosts; files are names and what they hold.
func certDir(t *testing.T, host string, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, host), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(root, host, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func read(t *testing.T, file string) string {
	t.Helper()
	return string(must(os.ReadFile(file))(t))
}

func TestPrivateCA(t *testing.T) {
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{TLS: true, Auth: testenv.AuthToken})
	ca := read(t, reg.CAFile)
	underscored := strings.Replace(reg.Host, ":", "_", 1) + "_"
	for name, opt := range map[string]registry.HostOptions{
		"a file":                     {CAs: []string{reg.CAFile}},
		"Docker's folder":            {CertDirs: []string{"/nowhere", certDir(t, reg.Host, map[string]string{"ca.crt": ca})}},
		"containerd's folder":        {CertDirs: []string{certDir(t, underscored, map[string]string{"hosts.toml": `ca = "my.pem"`, "my.pem": ca})}},
		"containerd's, for a server": {CertDirs: []string{certDir(t, reg.Host, map[string]string{"hosts.toml": "server = \"https://" + reg.Host + "\"\nca = [\"" + reg.CAFile + "\"]\n[host.\"https://mirror.example.com\"]\nca = \"/nowhere\"\n"})}},
		"containerd's, for a host":   {CertDirs: []string{certDir(t, reg.Host, map[string]string{"hosts.toml": "server = \"https://other.example.com\"\n[host.\"https://" + reg.Host + "\"]\ncapabilities = [\"push\"]\nca = \"" + reg.CAFile + "\"\n"})}},
		"containerd's, both ways":    {CertDirs: []string{certDir(t, reg.Host, map[string]string{"hosts.toml": "[host.\"http://" + reg.Host + "\"]\n[host.\"https://" + reg.Host + "\"]\nca = \"" + reg.CAFile + "\"\n"})}},
		"containerd's skip_verify":   {CertDirs: []string{certDir(t, reg.Host, map[string]string{"hosts.toml": "skip_verify = true"})}},
		"insecure":                   {Insecure: []string{reg.Host}},
	} {
		if err := tryPush(t, opt, reg); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, opt := range map[string]registry.HostOptions{
		"nothing":                  {},
		"another host":             {Insecure: []string{"127.0.0.1:1"}, CertDirs: []string{certDir(t, "127.0.0.1:1", map[string]string{"ca.crt": ca})}},
		"another server":           {CertDirs: []string{certDir(t, reg.Host, map[string]string{"hosts.toml": "server = \"https://other.example.com\"\nskip_verify = true"})}},
		"the first folder decides": {CertDirs: []string{certDir(t, reg.Host, nil), certDir(t, reg.Host, map[string]string{"ca.crt": ca})}},
		"a mirror's certificate":   {CertDirs: []string{certDir(t, reg.Host, map[string]string{"hosts.toml": "[host.\"https://mirror.example.com\"]\nskip_verify = true"})}},
	} {
		var e *registry.Error
		if err := tryPush(t, opt, reg); !errors.As(err, &e) || !strings.Contains(err.Error(), "x509") {
			t.Errorf("%s: %v, want that the certificate is not trusted", name, err)
		}
	}
}

// containerd's _default is for the hosts that have no folder of their own, in any place.
func TestDefaultFolder(t *testing.T) {
	cert, key := testenv.ClientCert(t)
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{TLS: true, Auth: testenv.AuthToken, ClientCert: cert})
	pair := "\nclient = [[\"" + cert + "\", \"" + key + "\"]]\n"
	right := "ca = \"" + reg.CAFile + "\"" + pair
	mirror := "[host.\"https://mirror.example.com\"]\ncapabilities = [\"pull\"]\nca = \"/nowhere\"\n"
	fallback := func(content string) string { return certDir(t, "_default", map[string]string{"hosts.toml": content}) }
	own := func(content string) string { return certDir(t, reg.Host, map[string]string{"hosts.toml": content}) }
	files := map[string]string{"ca.crt": read(t, reg.CAFile), "client.cert": read(t, cert), "client.key": read(t, key)}
	for name, opt := range map[string]registry.HostOptions{
		"alone":                        {CertDirs: []string{fallback(right)}},
		"with a mirror":                {CertDirs: []string{fallback(right + mirror)}},
		"skip_verify":                  {CertDirs: []string{fallback("skip_verify = true" + pair)}},
		"Docker's files in it":         {CertDirs: []string{certDir(t, "_default", files)}},
		"after a folder of its own":    {CertDirs: []string{fallback("ca = \"/nowhere\""), own(right)}},
		"the first one":                {CertDirs: []string{fallback(right), fallback("ca = \"/nowhere\"")}},
		"for a host called insecure":   {CertDirs: []string{fallback(pair)}, Insecure: []string{reg.Host}},
		"for the server that it names": {CertDirs: []string{fallback("server = \"https://" + reg.Host + "\"\n" + right)}},
	} {
		if err := tryPush(t, opt, reg); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, dirs := range map[string][]string{
		"a folder of its own":    {own(""), fallback(right)},
		"another server":         {fallback("server = \"https://mirror.example.com\"\n" + right)},
		"a mirror's certificate": {fallback("[host.\"https://mirror.example.com\"]\nskip_verify = true" + pair)},
	} {
		if err := tryPush(t, registry.HostOptions{CertDirs: dirs}, reg); err == nil || !strings.Contains(err.Error(), "x509") {
			t.Errorf("%s: %v, want that the certificate is not trusted", name, err)
		}
	}
	hosts := must(registry.NewHosts(registry.HostOptions{CertDirs: []string{fallback("ca = \"/nowhere\"")}}))(t)
	if err := hosts.Check(reg.Host); err == nil || !strings.Contains(err.Error(), "/nowhere") {
		t.Errorf("Check = %v, want that /nowhere is not there", err)
	}
}

// A token server is reached as its registry is, also where _default is about all hosts.
func TestDefaultFolderAndTokenServer(t *testing.T) {
	tokens := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(tokens.Close)
	const host = "registry.example.com"
	dir := certDir(t, host, map[string]string{"hosts.toml": "skip_verify = true"})
	if err := os.Mkdir(filepath.Join(dir, "_default"), 0o700); err != nil {
		t.Fatal(err)
	}
	hosts := must(registry.NewHosts(registry.HostOptions{CertDirs: []string{dir}}))(t)
	for _, as := range []string{host, "other.example.com"} {
		resp, err := (&http.Client{Transport: hosts.For(as)}).Get(tokens.URL)
		if err == nil {
			resp.Body.Close()
		}
		if trusted := err == nil; trusted != (as == host) {
			t.Errorf("the token server of %s: %v", as, err)
		}
	}
}

func TestClientCertificate(t *testing.T) {
	cert, key := testenv.ClientCert(t)
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{TLS: true, Auth: testenv.AuthToken, ClientCert: cert})
	ca := read(t, reg.CAFile)
	for name, dir := range map[string]string{
		"Docker's":               certDir(t, reg.Host, map[string]string{"ca.crt": ca, "client.cert": read(t, cert), "client.key": read(t, key)}),
		"containerd's pairs":     certDir(t, reg.Host, map[string]string{"hosts.toml": "ca = \"" + reg.CAFile + "\"\nclient = [[\"" + cert + "\", \"" + key + "\"]]"}),
		"containerd's empty key": certDir(t, reg.Host, map[string]string{"hosts.toml": "ca = \"" + reg.CAFile + "\"\nclient = [[\"both.pem\", \"\"]]", "both.pem": read(t, cert) + read(t, key)}),
		"containerd's file":      certDir(t, reg.Host, map[string]string{"hosts.toml": "ca = \"" + reg.CAFile + "\"\nclient = \"both.pem\"", "both.pem": read(t, cert) + read(t, key)}),
	} {
		if err := tryPush(t, registry.HostOptions{CertDirs: []string{dir}}, reg); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := tryPush(t, registry.HostOptions{CAs: []string{reg.CAFile}}, reg); err == nil {
		t.Error("a push without a client certificate went through")
	}
}

func TestWrongCertificates(t *testing.T) {
	const host = "registry.example.com:5000"
	cert, key := testenv.ClientCert(t)
	_, otherKey := testenv.ClientCert(t)
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("nothing\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"/nowhere/ca.pem", empty, key} {
		if _, err := registry.NewHosts(registry.HostOptions{CAs: []string{file}}); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("NewHosts with the CA %s = %v, want an error that names it", file, err)
		}
	}
	pem, private := read(t, cert), read(t, key)
	for name, test := range map[string]struct {
		files map[string]string
		want  string
	}{
		"no certificate": {map[string]string{"ca.crt": "nothing"}, "ca.crt: there is no PEM certificate in it"},
		"no key":         {map[string]string{"client.cert": pem}, "client.cert: its key, client.key, is not beside it"},
		"no cert":        {map[string]string{"client.key": private}, "client.key: its certificate, client.cert, is not beside it"},
		"mismatch":       {map[string]string{"client.cert": pem, "client.key": read(t, otherKey)}, "client.key: tls: private key does not match public key"},
		"no TOML":        {map[string]string{"hosts.toml": "ca = []\nserver ="}, "hosts.toml:2:"},
		"wrong type":     {map[string]string{"hosts.toml": "ca = 1"}, "hosts.toml: ca: a path or a list of paths is expected"},
		"not a pair":     {map[string]string{"hosts.toml": `client = [["a"]]`}, "hosts.toml: client: a certificate and its key are expected"},
		"absent":         {map[string]string{"hosts.toml": `ca = "gone.pem"`}, "gone.pem: no such file"},
	} {
		hosts, err := registry.NewHosts(registry.HostOptions{CertDirs: []string{certDir(t, host, test.files)}})
		if err != nil {
			t.Fatal(err)
		}
		if err := hosts.Check(host); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: Check = %v, want %q", name, err, test.want)
		}
	}
}

// Plain HTTP is for loopback, and for whom the user calls insecure.
func TestPlainHTTP(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	hosts, err := registry.NewHosts(registry.HostOptions{Insecure: []string{"other.invalid"}})
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: hosts}
	resp, err := client.Get(server.URL)
	if err != nil {
		t.Fatalf("over loopback: %v", err)
	}
	resp.Body.Close()
	var plain *registry.PlainHTTPError
	for _, url := range []string{"http://registry.invalid/v2/", "http://10.0.0.1:5000/v2/"} {
		if _, err := client.Get(url); !errors.As(err, &plain) {
			t.Errorf("GET %s: %v, want a PlainHTTPError", url, err)
		}
	}
	if _, err := client.Get("http://other.invalid/v2/"); err == nil || errors.As(err, &plain) {
		t.Errorf("an insecure host: %v, want that its name is not known", err)
	}
}
