package main

import (
	"io"
	"net"
	"strings"
	"testing"
)

// socksProxy answers what it is told on a connection, message by message.
func socksProxy(t *testing.T, answers ...string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for _, answer := range answers {
					if _, err := c.Read(make([]byte, 512)); err != nil {
						return
					}
					if _, err := io.WriteString(c, answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

// TestSocksProxyThatIsOfNoUse is TestProxyThatIsOfNoUse for those of the other kind.
func TestSocksProxyThatIsOfNoUse(t *testing.T) {
	dir, _ := savedImage(t)
	const login, host = "socks5://captain:pa55-of-the-test@", "registry.invalid:5000"
	for name, test := range map[string]struct {
		answers []string
		says    string
	}{
		"wants another password": {[]string{"\x05\x02", "\x01\x01"}, "authentication failed"},
		"finds nothing":          {[]string{"\x05\x00", "\x05\x04\x00\x01\x00\x00\x00\x00\x00\x00"}, "host unreachable"},
	} {
		t.Run(name, func(t *testing.T) {
			proxy := socksProxy(t, test.answers...)
			c := start(t, []string{"HTTPS_PROXY=" + login + proxy}, "push", "--untested", dir, "-t", host+"/acme/app:1")
			c.exits(6)
			c.says("socks5://"+proxy, test.says, "HTTPS_PROXY", "NO_PROXY="+host, "no tag moved")
			if strings.Contains(c.stderr(), "pa55") {
				t.Errorf("the password is told:\n%s", c.stderr())
			}
		})
	}
}
