package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// answeringProxy answers all that it is asked for with the status, and counts.
func answeringProxy(t *testing.T, status int) (address string, asked *atomic.Int64) {
	t.Helper()
	asked = &atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "you sent "+r.Header.Get("Proxy-Authorization"))
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), asked
}

// TestProxyThatIsOfNoUse pushes to a registry behind a proxy that does not help: what is
// said is about the proxy, and does not tell its password.
func TestProxyThatIsOfNoUse(t *testing.T) {
	dir, _ := savedImage(t)
	denying, denied := answeringProxy(t, http.StatusProxyAuthRequired)
	plain, deniedPlain := answeringProxy(t, http.StatusProxyAuthRequired)
	forbidding, forbidden := answeringProxy(t, http.StatusForbidden)
	broken, _ := answeringProxy(t, http.StatusBadGateway)
	const login, host = "http://captain:pa55-of-the-test@", "registry.invalid:5000"
	insecure := []string{"--insecure-registry", host}
	for name, test := range map[string]struct {
		env   []string
		flags []string
		asked *atomic.Int64 // for what does not pass
		says  []string
	}{
		"wants a password":                 {[]string{"HTTPS_PROXY=" + login + denying}, nil, denied, []string{"http://" + denying, "407 Proxy Authentication Required", "in HTTPS_PROXY, USER:PASSWORD@ goes before"}},
		"wants a password, for plain HTTP": {[]string{"http_proxy=" + login + plain}, insecure, deniedPlain, []string{"http://" + plain, "407 Proxy Authentication Required", "in http_proxy, USER:PASSWORD@ goes before"}},
		"forbids it":                       {[]string{"HTTPS_PROXY=" + login + forbidding}, nil, forbidden, []string{"http://" + forbidding, "403 Forbidden"}},
		"finds nothing":                    {[]string{"HTTPS_PROXY=" + login + broken}, nil, nil, []string{"http://" + broken, "502 Bad Gateway"}},
		"is not there":                     {[]string{"https_proxy=" + login + "127.0.0.1:1"}, nil, nil, []string{"http://127.0.0.1:1", "connection refused", "https_proxy"}},
		"is unknown":                       {[]string{"HTTPS_PROXY=" + login + "proxy.invalid:3128"}, nil, nil, []string{"http://proxy.invalid:3128", "no such host", "HTTPS_PROXY"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // some are tried again
			c := start(t, test.env, append([]string{"push", "--untested", dir, "-t", host + "/acme/app:1"}, test.flags...)...)
			c.exits(6)
			c.says(append(test.says, "NO_PROXY="+host, "no tag moved")...)
			if all := c.stderr(); strings.Contains(all, "pa55-of-the-test") || strings.Contains(all, "is "+host+" the right name") {
				t.Errorf("it tells the password, or is not about the proxy:\n%s", all)
			}
			if test.asked != nil && test.asked.Load() != 1 {
				t.Errorf("the proxy was asked %d times for what does not pass", test.asked.Load())
			}
		})
	}
}

// A variable that names no proxy is as a wrong command line.
func TestProxyThatIsNone(t *testing.T) {
	dir, _ := savedImage(t)
	for variable, flags := range map[string][]string{
		"HTTPS_PROXY": nil,
		"http_proxy":  {"--insecure-registry", "registry.invalid"},
	} {
		c := start(t, []string{variable + "=http://captain:pa55-of-the-test@proxy.example.com:port"}, append([]string{"push", "--untested", dir, "-t", "registry.invalid/acme/app:1"}, flags...)...)
		c.exits(2)
		c.says(variable, "http://proxy.example.com:3128, with USER:PASSWORD@ before", "NO_PROXY=registry.invalid")
		if strings.Contains(c.stderr(), "pa55") {
			t.Errorf("the password is told:\n%s", c.stderr())
		}
	}
}
