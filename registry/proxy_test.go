package registry_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/seatrial/seatrial/registry"
)

// What names no proxy is told before a push, if the registry is to be reached by it.
func TestVariableThatNamesNoProxy(t *testing.T) {
	const host = "registry.example.com"
	for _, variable := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"} {
		t.Setenv(variable, "")
	}
	check := func(host string, insecure ...string) error {
		return must(registry.NewHosts(registry.HostOptions{Insecure: insecure}))(t).Check(host)
	}
	for _, value := range []string{
		"http://captain:s3cret@proxy.example.com:port", "captain:s3 cret@proxy.example.com:3128", "http://captain:s3cret/x@proxy.example.com",
		"s3cret://proxy.example.com", ":3128", "http://:3128", "http://proxy.example.com:99999", "http://",
	} {
		t.Setenv("https_proxy", value)
		var e *registry.ProxyError
		if err := check(host); !errors.As(err, &e) || e.Variable != "https_proxy" || e.Host != host || strings.Contains(err.Error(), "s3") {
			t.Errorf("https_proxy=%s: Check = %v, want a ProxyError that does not tell the password", value, err)
		}
	}
	for _, free := range []string{"127.0.0.1:5000", "localhost", "registry.invalid", "10.0.0.5:5000"} {
		t.Setenv("NO_PROXY", ".invalid,10.0.0.0/8")
		if err := check(free); err != nil {
			t.Errorf("Check(%s), which needs no proxy: %v", free, err)
		}
	}
	for _, value := range []string{"proxy.example.com", "proxy:3128", "http://captain:s3cret@proxy:3128", "https://proxy/", "socks5://proxy", "socks5h://[fd00::1]:1080", "tcp://proxy:1"} {
		t.Setenv("HTTPS_PROXY", value)
		if err := check(host); err != nil {
			t.Errorf("HTTPS_PROXY=%s: Check = %v", value, err)
		}
	}
	t.Setenv("HTTP_PROXY", ":3128")
	if err := check(host); err != nil {
		t.Errorf("HTTP_PROXY is wrong, and not needed: %v", err)
	}
	if err := check(host, host); err == nil || !strings.Contains(err.Error(), "(HTTP_PROXY)") {
		t.Errorf("Check of an insecure host = %v, want that HTTP_PROXY is wrong", err)
	}
}
