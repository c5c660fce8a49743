package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/seatrial/seatrial/hack/testenv"
)

// connectionFault is something that happens to the connections of a push.
type connectionFault struct {
	name  string
	toxic string    // as toxiproxy's API has it; "": the registry goes away
	at    pushFault // the request that it begins at; of no method: from the beginning
	ends  int       // how many times it ends a way of a connection before it is over; 0: it lasts
	code  int
}

var connectionFaults = []connectionFault{
	{name: "reset", toxic: `{"type":"reset_peer","stream":"upstream"}`, at: pushFault{method: "POST", part: "/blobs/uploads/"}, ends: 6},
	{name: "reset for good", toxic: `{"type":"reset_peer","stream":"upstream"}`, code: 6},
	{name: "closed in the middle of a layer", toxic: `{"type":"limit_data","stream":"upstream","attributes":{"bytes":500000}}`, at: pushFault{method: "POST", part: "/blobs/uploads/"}, ends: 4},
	{name: "silent, then closed", toxic: `{"type":"timeout","stream":"upstream","attributes":{"timeout":300}}`, at: pushFault{method: "POST", part: "/blobs/uploads/"}, ends: 6},
	{name: "closed before the answer about a tag", toxic: `{"type":"limit_data","stream":"downstream"}`, at: pushFault{method: "PUT", part: "/manifests/1"}, ends: 2},
	{name: "slow", toxic: `{"type":"bandwidth","stream":"upstream","attributes":{"rate":1000}}`},
	{name: "late", toxic: `{"type":"latency","stream":"downstream","attributes":{"latency":80,"jitter":40}}`},
	{name: "in pieces", toxic: `{"type":"slicer","stream":"upstream","attributes":{"average_size":1500,"size_variation":700,"delay":100}}`},
	{name: "refused", at: pushFault{method: "PUT", part: "/blobs/uploads/", large: true}, ends: 2},
}

// rough is a proxy before a registry, for faults of connections.
type rough struct {
	t *testing.T
	*toxiproxy.Proxy
	begun atomic.Bool   // the fault
	ended chan struct{} // one way of a connection, since then
}

func startRough(t *testing.T, upstream string) *rough {
	t.Helper()
	r := &rough{t: t, ended: make(chan struct{}, 1000)}
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.New(r))
	r.Proxy = toxiproxy.NewProxy(server, t.Name(), testenv.FreeAddr(t), upstream) // it goes away, and comes back
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Stop)
	return r
}

// Write reads the proxy's log, in which alone it says that a connection has ended.
func (r *rough) Write(line []byte) (int, error) {
	if r.begun.Load() && bytes.Contains(line, []byte("RemoveConnection ")) {
		r.ended <- struct{}{}
	}
	return len(line), nil
}

func (r *rough) begin(f *connectionFault) {
	r.begun.Store(true)
	if f.toxic == "" {
		r.Stop()
	} else if _, err := r.Toxics.AddToxicJson(strings.NewReader(f.toxic)); err != nil {
		r.t.Error(err)
	}
}

// over waits until the fault has ended as many connections as it is to end while a push
// goes on, and lifts it.
func (r *rough) over(f *connectionFault, c *command) {
	for range f.ends {
		select {
		case <-r.ended:
		case <-c.read:
			r.t.Fatalf("the push has ended before the fault did its part; it printed:\n%s", c.stderr())
		}
	}
	switch {
	case f.toxic == "":
		<-time.After(700 * time.Millisecond) // who is refused is heard of by nobody here
		if err := r.Start(); err != nil {
			r.t.Fatal(err)
		}
	case f.ends > 0:
		r.Toxics.ResetToxics(context.Background())
	}
}

// realmHere has a registry send clients for tokens to where they have come to.
type realmHere struct {
	http.ResponseWriter
	host string
}

var realmHost = regexp.MustCompile(`realm="http://[^/"]*`)

func (w realmHere) WriteHeader(status int) {
	if challenge := w.Header().Get("WWW-Authenticate"); challenge != "" {
		w.Header().Set("WWW-Authenticate", realmHost.ReplaceAllLiteralString(challenge, `realm="http://`+w.host))
	}
	w.ResponseWriter.WriteHeader(status)
}

// TestPushOverBadConnections has connections to two kinds of registry break, stall and
// crawl under a push.
func TestPushOverBadConnections(t *testing.T) {
	var armed sync.Map // by the proxy that a request came through: what looks at it
	wrap := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if see, ok := armed.Load(r.Host); ok {
				see.(func(*http.Request))(r)
			}
			next.ServeHTTP(realmHere{w, r.Host}, r)
		})
	}
	w := newWorld(t, testenv.SharedDaemon(t, testenv.Root))
	eachRegistry(t, wrap, func(t *testing.T, reg *testenv.Registry, config string) {
		var refs []string
		for i := range connectionFaults {
			refs = append(refs, fmt.Sprintf("%s/acme/app%d:1", reg.Host, i))
		}
		env := append(w.env(), config)
		pushNoise(t, env, refs...).exits(0)
		for i, f := range connectionFaults {
			t.Run(f.name, func(t *testing.T) {
				t.Parallel() // most of it is waiting
				proxy := startRough(t, reg.Host)
				begin := sync.OnceFunc(func() { proxy.begin(&f) })
				if f.at.method == "" {
					begin()
				}
				armed.Store(proxy.Listen, func(r *http.Request) {
					if f.at.meets(r) {
						begin()
					}
				})
				a := &aftermath{reg: reg, host: proxy.Listen, refs: []string{strings.Replace(refs[i], reg.Host, proxy.Listen, 1)}}
				c := a.push(t, append(w.env(), login(t, proxy.Listen, "captain", registryPassword)))
				proxy.over(&f, c)
				a.check(t, c, f.code, "")
			})
		}
	})
}
