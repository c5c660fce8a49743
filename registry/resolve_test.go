package registry_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// resolving answers so many queries with a failure, and then every name with the
// loopback address.
func resolving(t *testing.T, failures int, failure dnsmessage.RCode) *net.Resolver {
	t.Helper()
	server := must(net.ListenPacket("udp", "127.0.0.1:0"))(t)
	t.Cleanup(func() { server.Close() })
	go func() {
		buf := make([]byte, 4096)
		for n := 0; ; n++ {
			size, from, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			var msg dnsmessage.Message
			if msg.Unpack(buf[:size]) != nil {
				continue
			}
			msg.Response, msg.Additionals = true, nil
			if n < failures {
				msg.RCode = failure
			} else if q := msg.Questions[0]; q.Type == dnsmessage.TypeA {
				msg.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1},
					Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
				}}
			}
			if answer, err := msg.Pack(); err == nil {
				_, _ = server.WriteTo(answer, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

// A resolver that fails, or does not know the name, while it restarts.
func TestNameThatDoesNotResolveAtFirst(t *testing.T) {
	for _, failure := range []dnsmessage.RCode{dnsmessage.RCodeServerFailure, dnsmessage.RCodeNameError} {
		onRegistries(t, nil, func(t *testing.T, reg *testenv.Registry) {
			rt, _ := registry.Transport().(*http.Transport)
			dialer := &net.Dialer{Resolver: resolving(t, 6, failure)}
			rt.DialContext = dialer.DialContext
			_, port, _ := strings.Cut(reg.Host, ":")
			ref := must(name.ParseReference("registry.example:"+port+"/app:1", name.Insecure))(t)
			p := must(registry.NewPush([]name.Reference{ref}, registry.Options{Transport: rt}))(t).WithBackoff(time.Millisecond)
			if _, err := p.Commit(t.Context(), loaded(t)); err != nil {
				t.Fatalf("%s: Commit = %v, want nil", failure, err)
			}
			pull(t, refs(t, reg.Host+"/app:1")[0], reg)
		})
	}
}
