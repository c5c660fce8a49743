package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

func TestClean(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"plain text", "plain text"},
		{`Get "https://u:p@host:5000/v2/?a=b": EOF`, `Get "https://host:5000/v2/": EOF`},
		{"two\nlines\r\n", "two; lines"},
		{"\x1b[31mred\x00", "[31mred"},
		{"no token in bearer response:\n{\"refresh_token\":\"x\"}", "no token in bearer response"},
		{"https://%zz?secret", "(an address)"},
		{"you sent Basic Y2FwdGFpbjpzM2NyZXQtd29yZA==.", "you sent Basic xxxxx."},
		{"you sent Bearer eyJhbGciOi.eyJpc3MiOiJ0.c2lnbmF0dXJl", "you sent Bearer xxxxx"},
		{"bearer authentication is needed", "bearer authentication is needed"},
	} {
		if got := clean(tc.in); got != tc.want {
			t.Errorf("clean(%q) = %q, want %q", tc.in, got, tc.want)
		}
	}
}

// What stands for a registry's own address is nothing else's, and leads back to it.
func TestDisguisedTokenServers(t *testing.T) {
	for _, tc := range []struct{ registry, realm, want string }{
		{"10.0.0.5:5050", "https://10.0.0.5/jwt/auth?a=b", "https://registry-address.invalid/jwt/auth?a=b"},
		{"10.0.0.5", "http://10.0.0.5:8080/auth", "http://registry-address.invalid:8080/auth"},
		{"[fd00::5]:5050", "https://[fd00::5]:8443/auth", "https://registry-address.invalid:8443/auth"},
		{"[fd00::5]", "https://[fd00::5]:8443/auth", "https://registry-address.invalid:8443/auth"},
		{"10.0.0.5:5050", "https://10.0.0.5:5050/auth", ""},
		{"10.0.0.5:5050", "https://10.0.0.6/auth", ""},
		{"10.0.0.5:5050", "https://10.0.0.5.example.com/auth", ""},
		{"gitlab.example.com:5050", "https://gitlab.example.com/jwt/auth", ""},
		{"gitlab.example.com:5050", "https://10.0.0.5/jwt/auth", ""},
	} {
		w := &wire{registry: tc.registry}
		got := w.disguised(tc.realm)
		if tc.want == "" {
			tc.want = tc.realm
		}
		if got != tc.want {
			t.Errorf("the token server %s of %s is disguised as %s, want %s", tc.realm, tc.registry, got, tc.want)
		}
		if back := undisguised(got, tc.registry); back != tc.realm {
			t.Errorf("%s of %s is shown as %s, want %s", got, tc.registry, back, tc.realm)
		}
		u, err := url.Parse(got)
		at, atErr := url.Parse(tc.realm)
		if err != nil || atErr != nil || w.really(u) != at.Host {
			t.Errorf("%s of %s leads to %s, want %s", got, tc.registry, w.really(u), at.Host)
		}
	}
}

// Why a try failed has to fit a line: without the address, and what was tried.
func TestReason(t *testing.T) {
	repo, err := name.NewRepository("registry.example.com/app")
	if err != nil {
		t.Fatal(err)
	}
	c := &conn{repo: repo, wire: &wire{}}
	request := &url.Error{Op: "Head", URL: "https://registry.example.com/v2/app/blobs/sha256:1", Err: io.EOF}
	for _, err := range []error{request, c.errorf(request, "looking for %s", repo), fmt.Errorf("once more: %w", request)} {
		if got := c.reason(err); got != "EOF" {
			t.Errorf("the reason of %q is %q, want EOF", err, got)
		}
	}
	answer := c.errorf(&transport.Error{StatusCode: 503}, "looking for %s", repo)
	if got := c.reason(answer); got != "503 Service Unavailable" {
		t.Errorf("the reason of %q is %q", answer, got)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		in   string
		want time.Duration
	}{
		{"", 0},
		{"5", 5 * time.Second},
		{"99999999999", maxRetryAfter},
		{"Sun, 01 Nov 2026 12:00:30 GMT", 30 * time.Second},
		{"soon", 0},
	} {
		if got := retryAfter(tc.in, now); got != tc.want {
			t.Errorf("retryAfter(%q) = %v, want %v", tc.in, got, tc.want)
		}
	}
}

// brokenReader fails, as a stream does that was ended from outside.
type brokenReader struct{ err error }

func (r brokenReader) Read([]byte) (int, error) { return 0, r.err }
func (r brokenReader) Close() error             { return nil }

// What reading gives after the transport has closed the body must not hide what
// the registry answered.
func TestBodyKeepsErrorsUntilClosed(t *testing.T) {
	want := errors.New("broken")
	body := &blobBody{transfer: &transfer{}}
	r := &bodyReader{ReadCloser: brokenReader{want}, body: body}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(nil); err == nil || body.failure() != nil {
		t.Errorf("failure after reading a closed body = %v, want nil", body.failure())
	}
	r = &bodyReader{ReadCloser: brokenReader{want}, body: body}
	if _, err := r.Read(nil); err == nil || !errors.Is(body.failure(), want) {
		t.Errorf("failure after reading = %v, want %v", body.failure(), want)
	}
}

func TestPassing(t *testing.T) {
	answer := func(status int, codes ...transport.ErrorCode) error {
		e := &transport.Error{StatusCode: status}
		for _, c := range codes {
			e.Errors = append(e.Errors, transport.Diagnostic{Code: c})
		}
		return fmt.Errorf("wrapped: %w", e)
	}
	for _, tc := range []struct {
		err  error
		want bool
	}{
		{answer(500), true},
		{answer(502), true},
		{answer(500, "INTERNAL_ERROR"), true},
		{answer(429), true},
		{answer(404, transport.BlobUploadUnknownErrorCode), true},
		{answer(400, "DIGEST_INVALID", transport.ManifestBlobUnknownErrorCode), true},
		{answer(400, "DIGEST_INVALID"), false},
		{answer(404), false},
		{answer(401), false},
		{answer(403, transport.DeniedErrorCode), false},
		{answer(507), false},
		{answer(413), false},
		{&transport.Error{StatusCode: 500, Errors: []transport.Diagnostic{{Code: "UNKNOWN", Detail: "write: disk quota exceeded"}}}, false},
		{filesystem(28), false},  // ENOSPC
		{filesystem(122), false}, // EDQUOT
		{filesystem(5), true},
		{fmt.Errorf("reading: %w", io.ErrUnexpectedEOF), true},
		{syscall.ECONNRESET, true},
		{&url.Error{Op: "Head", Err: errors.New("http: server closed idle connection")}, true},
		{&net.DNSError{IsNotFound: true}, true},
		{&net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}, true},
		{&net.OpError{Op: "remote error", Err: errors.New("tls: bad certificate")}, false},
		{&net.OpError{Op: "dial", Err: &net.AddrError{Err: "missing port"}}, false},
		{&net.DNSError{IsTemporary: true}, true},
		{ErrBlobMissing, false},
		{context.Canceled, false},
		{errors.New("anything"), false},
	} {
		if got := passing(tc.err); got != tc.want {
			t.Errorf("passing(%v) = %v, want %v", tc.err, got, tc.want)
		}
	}
}

// filesystem is what Debian's docker-registry says when a system call on its disk fails.
func filesystem(errno int) error {
	body := fmt.Sprintf(`{"errors":[{"code":"UNKNOWN","message":"unknown error","detail":{"DriverName":"filesystem","Enclosed":{"Op":"write","Path":"/v2/_uploads/28","Err":%d}}}]}`, errno)
	return transport.CheckError(&http.Response{StatusCode: 500, Body: io.NopCloser(strings.NewReader(body)), Request: &http.Request{Method: http.MethodPost, URL: &url.URL{}}}, 202)
}

// A registry that asks for patience gets it from all requests to its host.
func TestPause(t *testing.T) {
	p := newNetwork(Options{}).pause
	resp := &http.Response{
		StatusCode: http.StatusTooManyRequests,
		Header:     http.Header{"Retry-After": {"3600"}},
		Request:    &http.Request{URL: &url.URL{Host: "busy"}},
	}
	p.note(resp)
	if until := time.Until(p.until["busy"]); until <= 0 || until > maxRetryAfter {
		t.Errorf("pause after Retry-After: 3600 is %v, want up to %v", until, maxRetryAfter)
	}
	if err := p.wait(t.Context(), "idle"); err != nil {
		t.Errorf("waiting for another host: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.wait(ctx, "busy"); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting with a cancelled context = %v, want context.Canceled", err)
	}
}

// slowConn takes half of what it is given in the time that it has, until it
// takes nothing any more.
type slowConn struct {
	net.Conn
	took []byte
	most int
}

func (c *slowConn) Write(p []byte) (int, error) {
	n := min((len(p)+1)/2, c.most-len(c.took))
	c.took = append(c.took, p[:n]...)
	if n < len(p) {
		return n, os.ErrDeadlineExceeded
	}
	return n, nil
}

func (c *slowConn) SetReadDeadline(time.Time) error  { return nil }
func (c *slowConn) SetWriteDeadline(time.Time) error { return nil }

// Slow is not stalled, however much is written at once.
func TestStallConn(t *testing.T) {
	for _, tc := range []struct {
		most int
		want error
	}{{100, nil}, {70, os.ErrDeadlineExceeded}} {
		c := &slowConn{most: tc.most}
		n, err := stallConn{c, defaultLimits()}.Write(bytes.Repeat([]byte("x"), 100))
		if !errors.Is(err, tc.want) || n != tc.most || len(c.took) != tc.most {
			t.Errorf("Write() to a connection that takes %d bytes = %d, %v, want %v", tc.most, n, err, tc.want)
		}
	}
}

// chosenStore counts what is opened.
type chosenStore struct {
	Store
	opened int
}

func (s *chosenStore) Open(context.Context, v1.Descriptor) (io.ReadCloser, error) {
	s.opened++
	return http.NoBody, nil
}

// A tunnel for one connection may leave the second one waiting for ever.
func TestDialContentGivesUpOnSilence(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0") // and never accept
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	dialled := 0
	next := &chosenStore{}
	d := &dialContent{Store: next, limit: 50 * time.Millisecond, dial: func(ctx context.Context) (net.Conn, error) {
		dialled++
		return new(net.Dialer).DialContext(ctx, "tcp", lis.Addr().String())
	}}
	for range 3 {
		if _, err := d.Open(t.Context(), v1.Descriptor{Size: worthDialing}); err != nil {
			t.Errorf("Open() = %v", err)
		}
	}
	if dialled != 1 || next.opened != 3 {
		t.Errorf("dialled %d times and opened %d of the next store's blobs, want 1 and 3", dialled, next.opened)
	}
}

// hanging answers nothing until a request's context ends.
type hanging struct{ ended chan string }

func (h hanging) RoundTrip(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	h.ended <- req.URL.Scheme
	return nil, context.Cause(req.Context())
}

// The ping over plain HTTP ends with a push that is given up, though nobody comes for its
// answer.
func TestPlainPingEndsWithItsPush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		d := downgrades{tried: map[string]*firstTry{}}
		h := hanging{ended: make(chan string, 2)}
		time.AfterFunc(time.Second, cancel)
		req := httptest.NewRequestWithContext(ctx, http.MethodGet, "https://far.example/v2/", nil)
		if _, err := d.httpsFirst(h, req); err == nil { //nolint:bodyclose // there is none
			t.Error("the attempt at HTTPS did not end")
		}
		synctest.Wait()
		if len(h.ended) != 2 {
			t.Errorf("%d requests have ended, want both", len(h.ended))
		}
	})
}

// Nor does it stay where nobody tries plain HTTP after HTTPS has failed.
func TestPlainPingThatNobodyTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hanging{ended: make(chan string, 1)}
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://far.example/v2/", nil)
		sendPlainPing(h, req)
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(h.ended) != 1 {
			t.Error("the ping goes on for ever")
		}
	})
}

// An upload that was announced, and is wanted by a push that is just broken off, is left to
// be cancelled.
func TestAnnouncedUploadIsNotLost(t *testing.T) {
	b := &begun{until: time.Now().Add(time.Hour), at: make(chan *url.URL, 1)}
	b.left.Store(1)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if got := b.take(over); got != nil {
		t.Fatalf("take = %v, want nil: it is not there yet", got)
	}
	want := &url.URL{Path: "/upload"}
	b.at <- want
	if got := b.take(t.Context()); got != want {
		t.Errorf("take = %v, want %v", got, want)
	}
}
