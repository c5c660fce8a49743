package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// downgradeWait is how long plain HTTP waits for HTTPS to the same host to succeed or
// fail: a host may let one hang and answer the other.
const downgradeWait = 5 * time.Second

// plainPingFor bounds a ping that goes out beside HTTPS, for whose answer nobody may come.
const plainPingFor = 2 * downgradeWait

// errHTTPS is why a host that speaks HTTPS is not spoken to otherwise.
var errHTTPS = errors.New("it speaks HTTPS")

// downgrades knows of hosts whether the first try over HTTPS found a wrong
// certificate. go-containerregistry tries plain HTTP next where that may be spoken, but
// that would hand the password to whoever has put himself between, and tell the user of
// the wrong thing.
type downgrades struct {
	mu    sync.Mutex
	tried map[string]*firstTry
}

type firstTry struct {
	done  chan struct{}
	wrong bool       // set before done is closed
	plain *plainPing // nil for a host that is spoken to over HTTPS only
}

// httpsOnly makes the request, and notes how the first one to its host ends.
func (d *downgrades) httpsOnly(rt http.RoundTripper, req *http.Request) (*http.Response, error) {
	return d.https(rt, req, func(http.RoundTripper, *http.Request) *plainPing { return nil })
}

// httpsFirst is httpsOnly for a host that may turn out to speak plain HTTP: the ping over
// that goes out at the same time.
func (d *downgrades) httpsFirst(rt http.RoundTripper, req *http.Request) (*http.Response, error) {
	return d.https(rt, req, sendPlainPing)
}

func (d *downgrades) https(rt http.RoundTripper, req *http.Request, ping func(http.RoundTripper, *http.Request) *plainPing) (*http.Response, error) {
	d.mu.Lock()
	first := d.tried[req.URL.Host] == nil
	if first {
		try := &firstTry{done: make(chan struct{})}
		if isPing(req) {
			try.plain = ping(rt, req)
		}
		d.tried[req.URL.Host] = try
	}
	try := d.tried[req.URL.Host]
	d.mu.Unlock()
	resp, err := rt.RoundTrip(req)
	if first {
		var certificate *tls.CertificateVerificationError
		var alert *net.OpError // what the other side thinks of ours
		try.wrong = errors.As(err, &certificate) || errors.As(err, &alert) && alert.Op == "remote error"
		if err == nil || try.wrong || req.Context().Err() != nil {
			try.plain.drop()
		}
		close(try.done)
	}
	return resp, err
}

// plainHTTP makes the request after the first try over HTTPS, if there is one.
func (d *downgrades) plainHTTP(rt http.RoundTripper, req *http.Request) (*http.Response, error) {
	d.mu.Lock()
	try := d.tried[req.URL.Host]
	d.mu.Unlock()
	if try == nil {
		return rt.RoundTrip(req)
	}
	if err := try.wait(req.Context()); err != nil {
		try.plain.drop()
		return nil, err
	}
	if isPing(req) {
		if resp := try.plain.take(req); resp != nil {
			return resp, nil
		}
	}
	return rt.RoundTrip(req)
}

// wait returns when plain HTTP may be spoken.
func (f *firstTry) wait(ctx context.Context) error {
	wait := time.NewTimer(downgradeWait)
	defer wait.Stop()
	select {
	case <-f.done:
		if f.wrong {
			return errHTTPS
		}
	case <-wait.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// isPing tells whether the request only asks how the registry wants to be spoken to. It
// has nothing that the host's neighbours must not read.
func isPing(req *http.Request) bool {
	return req.Method == http.MethodGet && req.URL.Path == "/v2/" && req.Header.Get("Authorization") == ""
}

// plainPing is a ping over plain HTTP, sent before it is known whether it will be needed:
// at a distance, the attempt at HTTPS takes as long as the ping. Its answer counts only
// after that attempt.
type plainPing struct {
	cancel context.CancelFunc
	answer chan *http.Response // nil for none; closed when it was taken
}

// sendPlainPing sends the ping of a request over HTTPS over plain HTTP.
func sendPlainPing(rt http.RoundTripper, req *http.Request) *plainPing {
	// The context of the attempt at HTTPS ends with it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(req.Context()), plainPingFor)
	plain := req.Clone(ctx)
	plain.URL.Scheme = "http"
	p := &plainPing{cancel: cancel, answer: make(chan *http.Response, 1)}
	context.AfterFunc(ctx, p.discard)
	go func() {
		resp, err := rt.RoundTrip(plain)
		if err != nil {
			resp = nil
		}
		p.answer <- resp
		close(p.answer)
	}()
	return p
}

// take gives the answer to the first one that asks for it.
func (p *plainPing) take(req *http.Request) *http.Response {
	if p == nil {
		return nil
	}
	select {
	case resp := <-p.answer:
		if resp != nil {
			resp.Request = req
			context.AfterFunc(req.Context(), p.cancel)
		}
		return resp
	case <-req.Context().Done():
		p.drop()
		return nil
	}
}

// drop is for an answer that nobody needs.
func (p *plainPing) drop() {
	if p != nil {
		p.cancel()
	}
}

// discard takes an answer that came too late, or that nobody took.
func (p *plainPing) discard() {
	if resp := <-p.answer; resp != nil {
		_ = resp.Body.Close()
	}
}
