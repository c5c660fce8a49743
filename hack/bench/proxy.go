package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"time"
)

// counter is a proxy before a registry that counts what goes through.
type counter struct {
	host     string
	requests atomic.Int64
	bytes    atomic.Int64 // of bodies, both ways
	server   *httptest.Server
}

func newCounter(target string) *counter {
	c := &counter{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "http", Host: target})
			p.Out.Host = p.In.Host // the registry makes Locations of it
		},
		ModifyResponse: func(resp *http.Response) error {
			resp.Body = &countingBody{resp.Body, &c.bytes}
			return nil
		},
	}
	c.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.requests.Add(1)
		r.Body = &countingBody{r.Body, &c.bytes}
		proxy.ServeHTTP(w, r)
	}))
	c.host = c.server.Listener.Addr().String()
	return c
}

func (c *counter) forget() {
	c.requests.Store(0)
	c.bytes.Store(0)
}

type countingBody struct {
	io.ReadCloser
	bytes *atomic.Int64
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.bytes.Add(int64(n))
	return n, err
}

// distance is a relay before a registry that makes it seem far away: each byte is
// late by half the round trip, and none waits for another.
type distance struct {
	host string
	lis  net.Listener
}

func newDistance(target string, roundTrip time.Duration) (*distance, error) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			near, err := lis.Accept()
			if err != nil {
				return // closed
			}
			go relay(near, target, roundTrip)
		}
	}()
	return &distance{lis.Addr().String(), lis}, nil
}

func (d *distance) close() error { return d.lis.Close() }

// relay ends when one side has hung up. A handshake costs a round trip, too.
func relay(near net.Conn, target string, roundTrip time.Duration) {
	defer near.Close()
	time.Sleep(roundTrip)
	far, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer far.Close()
	ended := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		go func() {
			late(way[1], way[0], roundTrip/2)
			ended <- struct{}{}
		}()
	}
	<-ended
}

// piece is what was read at once.
type piece struct {
	data []byte
	due  time.Time
}

// late copies with a delay. What is on its way at a time is bounded by the channel:
// 64 MiB, far above what a connection needs.
func late(dst io.Writer, src io.Reader, delay time.Duration) {
	way := make(chan piece, 1024)
	go func() {
		defer close(way)
		for {
			buf := make([]byte, 64<<10)
			n, err := src.Read(buf)
			if n > 0 {
				way <- piece{buf[:n], time.Now().Add(delay)}
			}
			if err != nil {
				return
			}
		}
	}()
	failed := false
	for p := range way {
		time.Sleep(time.Until(p.due))
		if !failed {
			_, err := dst.Write(p.data)
			failed = err != nil
		}
	}
}
