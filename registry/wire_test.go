package registry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// loadedMany is an image in a daemon, of layers of that size.
func loadedMany(t *testing.T, layers int, size int64) registry.Artifact {
	t.Helper()
	d := startDaemon(t)
	return d.load(t, d.add(t, testenv.RandomImage(t, layers, size)), registry.LoadOptions{})
}

// busy refuses the first uploads all at once, and then watches that nobody comes
// before the time that it has asked for.
func busy(t *testing.T, uploads int, ask func(now time.Time) (header string, until time.Time)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		var together sync.WaitGroup
		together.Add(uploads)
		var begun atomic.Int64
		answer := sync.OnceValues(func() (string, time.Time) { return ask(time.Now()) })
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			n := int64(0)
			if req.Method == http.MethodPost {
				n = begun.Add(1)
			}
			if n == 0 || n > int64(uploads) {
				if n > 0 {
					if _, until := answer(); time.Now().Before(until) {
						t.Errorf("%s %s came %s too early", req.Method, req.URL.Path, time.Until(until))
					}
				}
				next.ServeHTTP(w, req)
				return
			}
			together.Done()
			together.Wait()
			header, _ := answer()
			w.Header().Set("Retry-After", header)
			w.WriteHeader(http.StatusTooManyRequests)
		})
	}
}

// What a registry asks for by Retry-After holds for all workers.
func TestRetryAfterHoldsBackAllWorkers(t *testing.T) {
	for name, ask := range map[string]func(now time.Time) (string, time.Time){
		"seconds": func(now time.Time) (string, time.Time) { return "1", now.Add(time.Second) },
		"date": func(now time.Time) (string, time.Time) {
			until := now.Add(2 * time.Second).Truncate(time.Second)
			return until.UTC().Format(http.TimeFormat), until
		},
	} {
		onRegistries(t, busy(t, 3, ask), func(t *testing.T, reg *testenv.Registry) {
			p := newPush(t, registry.Options{}, reg.Host+"/app:1").WithBackoff(time.Millisecond)
			pushed, err := p.Commit(t.Context(), loadedMany(t, 2, 1000)) // and the config
			if err != nil {
				t.Fatalf("%s: Commit = %v", name, err)
			}
			pull(t, pushed[0].Reference, reg)
		})
	}
}

// Why nothing happens for a while is told, of the registry that is waited for.
func TestWaitsAreTold(t *testing.T) {
	asked := 0
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: fault("PUT", "/manifests/1", func(w http.ResponseWriter, _ *http.Request) bool {
		switch asked++; asked {
		case 1:
			w.WriteHeader(http.StatusBadGateway)
		case 2:
			hangUp(w, nil)
		case 3:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		default:
			return false
		}
		return true
	})})
	var told []registry.Wait
	over := 0
	p := newPush(t, registry.Options{Waiting: func(w registry.Wait) func() {
		told = append(told, w)
		return func() { over++ }
	}}, reg.Host+"/app:1").WithBackoff(time.Millisecond)
	if _, err := p.Commit(t.Context(), loaded(t)); err != nil {
		t.Fatal(err)
	}
	want := []string{"502 Bad Gateway", "EOF", "429 Too Many Requests", ""}
	var reasons []string
	for _, w := range told {
		reasons = append(reasons, w.Reason)
		if w.Host != reg.Host || w.For < 0 {
			t.Errorf("wait %+v, want it to be for %s", w, reg.Host)
		}
	}
	if !slices.Equal(reasons, want) || over != len(told) {
		t.Errorf("told of %q, %d of them over, want %q, all over", reasons, over, want)
	}
}

// Whoever waits for a registry does not wait on when the push is cancelled.
func TestCancelledWhileWaiting(t *testing.T) {
	for name, header := range map[string]string{"Retry-After": "3600", "backoff": ""} {
		asked := make(chan struct{}, 64)
		reg := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: fault("POST", "/blobs/uploads/", always(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", header)
			w.WriteHeader(http.StatusTooManyRequests)
			asked <- struct{}{}
		}))})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		p, a := newPush(t, registry.Options{}, reg.Host+"/app:1").WithBackoff(time.Hour), loaded(t)
		go func() { ended <- p.Upload(ctx, a) }()
		<-asked
		cancel()
		select {
		case err := <-ended:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: Upload = %v, want context.Canceled", name, err)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s: Upload waits on", name)
		}
	}
}

func TestAtLeastFiveTries(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"503":    answering(503, ""),
		"429":    answering(429, `{"errors":[{"code":"TOOMANYREQUESTS"}]}`),
		"closed": hangUp,
	} {
		onRegistries(t, fault("POST", "/blobs/uploads/", times(4, answer)), func(t *testing.T, reg *testenv.Registry) {
			p := newPush(t, registry.Options{Jobs: 1}, reg.Host+"/app:1").WithBackoff(time.Millisecond)
			if _, err := p.Commit(t.Context(), loaded(t)); err != nil {
				t.Errorf("%s four times: Commit = %v, want nil", name, err)
			}
		})
	}
}

func hangUp(w http.ResponseWriter, _ *http.Request) {
	if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
		c.Close()
	}
}

// unreachable fails the first connections.
func unreachable(n int64, err error) *http.Transport {
	rt, _ := registry.Transport().(*http.Transport)
	dial := rt.DialContext
	var dialled atomic.Int64
	rt.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if dialled.Add(1) <= n {
			return nil, err
		}
		return dial(ctx, network, addr)
	}
	return rt
}

func TestNoConnectionAtFirst(t *testing.T) {
	for name, err := range map[string]error{
		"refused":      &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED},
		"no route":     &net.OpError{Op: "dial", Net: "tcp", Err: syscall.EHOSTUNREACH},
		"no such host": &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "registry", IsNotFound: true}},
	} {
		reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
		p := newPush(t, registry.Options{Transport: unreachable(4, err)}, reg.Host+"/app:1").WithBackoff(time.Millisecond)
		if _, err := p.Commit(t.Context(), loaded(t)); err != nil {
			t.Errorf("%s: Commit = %v, want nil", name, err)
		}
	}
}

// A registry that goes away in the middle of a push and comes back.
func TestRegistryRestarts(t *testing.T) {
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
	front := must(net.Listen("tcp", testenv.FreeAddr(t)))(t) // which nobody takes while it is closed
	addr := front.Addr().String()
	relay := func(lis net.Listener) {
		for {
			c, err := lis.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				up, err := net.Dial("tcp", reg.Host)
				if err != nil {
					return
				}
				defer up.Close()
				go func() { _, _ = io.Copy(up, c); up.Close() }()
				_, _ = io.Copy(c, up)
			}()
		}
	}
	go relay(front)
	rt, _ := registry.Transport().(*http.Transport)
	rt.DisableKeepAlives = true // else the relay's connections would outlive it
	var refused atomic.Int64
	back := make(chan net.Listener, 1)
	dial := rt.DialContext
	rt.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil && refused.Add(1) == 3 {
			lis, err := net.Listen("tcp", addr)
			if err != nil {
				t.Error(err)
				return nil, err
			}
			back <- lis
			go relay(lis)
		}
		return c, err
	}
	p := newPush(t, registry.Options{Jobs: 1, Transport: rt}, addr+"/app:1").WithBackoff(time.Millisecond)
	if err := p.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	front.Close()
	if _, err := p.Commit(t.Context(), loaded(t)); err != nil {
		t.Errorf("Commit = %v, want nil", err)
	}
	(<-back).Close()
}

// A registry that stops in the middle of a layer, or does not answer, is asked again
// on another connection.
func TestRegistryThatHangs(t *testing.T) {
	silent := func(_ http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		<-req.Context().Done()
	}
	const size = 32 << 20 // more than the sockets hold
	for at, answer := range map[string]http.HandlerFunc{
		"in the middle of a layer": stall(64 << 10),
		"without an answer":        silent,
	} {
		img := testenv.RandomImage(t, 1, size)
		layer := digestsOf(t, img)[0].String()
		var held sync.Map // the registries that have held the layer up
		hold := fault("PUT", "/blobs/uploads/", func(w http.ResponseWriter, req *http.Request) bool {
			if !strings.Contains(req.URL.RawQuery, strings.ReplaceAll(layer, ":", "%3A")) {
				return false
			}
			_, again := held.LoadOrStore(req.Host, true)
			if !again {
				answer(w, req)
			}
			return !again
		})
		onRegistries(t, hold, func(t *testing.T, reg *testenv.Registry) {
			t.Parallel()
			d := startDaemon(t)
			// The test's registry needs seconds itself for such a layer, on a busy machine.
			opt := registry.Options{Transport: registry.TransportWith(12*time.Second, 3*time.Second)}
			p := newPush(t, opt, reg.Host+"/app:1").WithBackoff(time.Millisecond)
			if _, err := p.Commit(t.Context(), d.load(t, d.add(t, img), registry.LoadOptions{})); err != nil {
				t.Errorf("%s: Commit = %v, want nil", at, err)
			}
			if n := reg.Count("PUT", "/blobs/uploads/"); n != 3 {
				t.Errorf("%s: %d uploads, want the config, and the layer twice", at, n)
			}
		})
	}
}

// stall reads a bit of the body and keeps the connection until the test's registry
// closes it. The handler must not return, and net/http reads no body for it.
func stall(read int64) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.CopyN(io.Discard, req.Body, read)
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		time.AfterFunc(time.Minute, func() { c.Close() })
	}
}

// A token that is refused while the layer is still being sent.
func TestTokenExpiresInTheMiddleOfALayer(t *testing.T) {
	var expired atomic.Int64
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{
		Auth: testenv.AuthToken,
		Wrap: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if req.Method == http.MethodPut && strings.Contains(req.URL.Path, "/blobs/uploads/") && expired.Add(1) == 1 {
					_, _ = io.CopyN(io.Discard, req.Body, 100)
					req.Header.Del("Authorization")
				}
				next.ServeHTTP(w, req)
			})
		},
	})
	p := newPush(t, registry.Options{Keychain: reg.Keychain(), Jobs: 1}, reg.Host+"/app:1").WithBackoff(time.Millisecond)
	pushed, err := p.Commit(t.Context(), loadedMany(t, 2, 8<<20))
	if err != nil {
		t.Fatalf("Commit = %v, want nil", err)
	}
	pull(t, pushed[0].Reference, reg)
}

// A proxy's limit is told apart, also by one that hangs up on whoever still sends.
func TestBodyTooLarge(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"answer": answering(413, "<html>413 Request Entity Too Large</html>"),
		"answer and hang up": func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			_, _ = fmt.Fprint(c, "HTTP/1.1 413 Request Entity Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			c.Close() // with bytes unread, which resets the connection
		},
	} {
		onRegistries(t, fault("PUT", "/blobs/uploads/", always(answer)), func(t *testing.T, reg *testenv.Registry) {
			p := newPush(t, registry.Options{Jobs: 1}, reg.Host+"/app:1").WithBackoff(time.Millisecond)
			err := p.Upload(t.Context(), loadedMany(t, 1, 16<<20))
			var e *registry.Error
			if !errors.As(err, &e) || e.Kind != registry.KindTooLarge || !strings.Contains(err.Error(), "uploading layer sha256:") {
				t.Errorf("%s: Upload = %v, want KindTooLarge", name, err)
			}
			for digest, n := range uploadsOf(reg) {
				if n > 3 {
					t.Errorf("%s: %d uploads of %s, want few: it will not pass", name, n, digest)
				}
			}
		})
	}
}

// What never ends is not waited for, and does not hide the status.
func TestAnswerWithoutEnd(t *testing.T) {
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: fault("POST", "/blobs/uploads/", always(func(w http.ResponseWriter, req *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		for req.Context().Err() == nil {
			if _, err := io.WriteString(w, "\x1b[31m"+strings.Repeat("Authorization: Basic c2VjcmV0 ", 1000)); err != nil {
				return
			}
		}
	}))})
	err := newPush(t, registry.Options{}, reg.Host+"/app:1").Upload(t.Context(), loaded(t))
	var e *registry.Error
	if !errors.As(err, &e) || e.Kind != registry.KindDenied || strings.ContainsAny(err.Error(), "\x1b") || strings.Contains(err.Error(), "c2VjcmV0") {
		t.Errorf("Upload = %v, want KindDenied, and nothing of the body", err)
	}
}
