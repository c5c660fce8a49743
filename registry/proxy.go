package registry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpproxy"
)

// ProxyError is a proxy that could not be used. Its text has no credentials.
type ProxyError struct {
	Variable string // of the environment, which names it; "" if it comes from elsewhere
	Proxy    string // its address; "" if the variable has none
	Host     string // that was to be reached through it
	Status   int    // that it answered; 0 if it did not
	Err      error
}

func (e *ProxyError) Error() string {
	text := "proxy for " + e.Host
	if e.Proxy != "" {
		text = "proxy " + e.Proxy
	}
	if e.Variable != "" {
		text += " (" + e.Variable + ")"
	}
	return text + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *ProxyError) Unwrap() error { return e.Err }

// proxyVariable is the variable that net/http takes the proxy for a scheme from, and its
// value.
func proxyVariable(scheme string) (name, value string) {
	for _, name := range []string{strings.ToUpper(scheme) + "_PROXY", scheme + "_proxy"} {
		if value := os.Getenv(name); value != "" {
			return name, value
		}
	}
	return "", ""
}

// newProxyError is about the proxy that a request went to.
func newProxyError(target *url.URL, proxy *url.URL, status int, err error) *ProxyError {
	e := &ProxyError{Host: target.Host, Status: status, Err: err}
	if proxy != nil {
		e.Proxy = (&url.URL{Scheme: proxy.Scheme, Host: proxy.Host}).String()
		e.Variable, _ = proxyVariable(target.Scheme)
	}
	return e
}

// proxyAnswer is what http.Transport is to say of a proxy that makes no connection: on
// its own it says the bare reason, of nobody.
func proxyAnswer(_ context.Context, proxy *url.URL, connect *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	err := fmt.Errorf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	if resp.StatusCode >= http.StatusInternalServerError {
		err = &net.OpError{Op: "proxyconnect", Net: "tcp", Err: err} // it may find the way later
	}
	return newProxyError(&url.URL{Scheme: "https", Host: strings.TrimSuffix(connect.Host, ":443")}, proxy, resp.StatusCode, err)
}

// byProxy has the error, or the answer, of a proxy be a ProxyError.
func byProxy(req *http.Request, resp *http.Response, err error) (*http.Response, error) {
	var known *ProxyError
	var op *net.OpError
	status := 0
	switch {
	case errors.As(err, &known):
		return nil, err
	case errors.As(err, &op) && (op.Op == "proxyconnect" || strings.HasPrefix(op.Op, "socks ")):
	case err == nil && resp.StatusCode == http.StatusProxyAuthRequired:
		_ = resp.Body.Close()
		status, err = resp.StatusCode, fmt.Errorf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	default:
		return resp, err
	}
	proxy, perr := http.ProxyFromEnvironment(req)
	if perr != nil {
		proxy = nil
	}
	return nil, newProxyError(req.URL, proxy, status, err)
}

// refusedByProxy tells whether a proxy has said no: it will again.
func refusedByProxy(err error) bool {
	var proxy *ProxyError
	return errors.As(err, &proxy) && proxy.Status >= http.StatusBadRequest && proxy.Status < http.StatusInternalServerError
}

// checkProxy tells whether the variable that names the proxy to a host names one.
// net/http takes what does not for a strange name, or ignores it.
func checkProxy(scheme, host string) error {
	const some = "http://proxy.invalid"
	through := httpproxy.Config{HTTPProxy: some, HTTPSProxy: some, NoProxy: httpproxy.FromEnvironment().NoProxy}
	if proxy, err := through.ProxyFunc()(&url.URL{Scheme: scheme, Host: host}); err != nil || proxy == nil {
		return nil // it is reached without
	}
	name, value := proxyVariable(scheme)
	if name == "" || isProxy(value) {
		return nil
	}
	return &ProxyError{Variable: name, Host: host, Err: errors.New("its value is no address of a proxy")}
}

func isProxy(address string) bool {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return false
	}
	if u.Port() == "" {
		return slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme)
	}
	_, err = strconv.ParseUint(u.Port(), 10, 16)
	return err == nil
}
