package registry_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// watchful calls timedOut for every request that ends by a time limit.
type watchful struct {
	http.RoundTripper
	timedOut func()
}

func (w watchful) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := w.RoundTripper.RoundTrip(req)
	var e net.Error
	if errors.As(err, &e) && e.Timeout() {
		w.timedOut()
	}
	return resp, err
}

// Connections that carry nothing any more, in one direction, and of which neither side is
// told: only the clock does.
func TestSilentConnections(t *testing.T) {
	for _, direction := range []string{"upstream", "downstream"} {
		t.Run(direction, func(t *testing.T) {
			var silence sync.Map // what falls on a proxy, by its address, when a layer begins
			wrap := func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					if begin, ok := silence.Load(req.Host); ok && req.Method == http.MethodPost {
						begin.(func())()
					}
					next.ServeHTTP(w, req)
				})
			}
			onRegistries(t, wrap, func(t *testing.T, reg *testenv.Registry) {
				t.Parallel()
				proxy := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), direction, "127.0.0.1:0", reg.Host)
				if err := proxy.Start(); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(proxy.Stop)
				var begun, noticed atomic.Bool
				silence.Store(proxy.Listen, sync.OnceFunc(func() {
					must(proxy.Toxics.AddToxicJson(strings.NewReader(`{"type":"timeout","stream":"` + direction + `"}`)))(t)
					begun.Store(true)
				}))
				rt := watchful{registry.TransportWith(2*time.Second, 2*time.Second), func() {
					if begun.Load() {
						noticed.Store(true)
						proxy.Toxics.ResetToxics(context.Background())
					}
				}}
				pushed, err := newPush(t, registry.Options{Transport: rt}, proxy.Listen+"/app:1").WithBackoff(time.Millisecond).Commit(t.Context(), loaded(t))
				if err != nil {
					t.Fatalf("Commit = %v, want nil", err)
				}
				if !noticed.Load() {
					t.Error("nothing was silent: the test tests nothing")
				}
				pull(t, refs(t, reg.Host+"/app@"+pushed[0].Digest.String())[0], reg)
			})
		})
	}
}
