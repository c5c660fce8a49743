package registry

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
)

// wire is the innermost transport of one conn, below authentication. It mends
// what go-containerregistry does to requests, and watches them.
type wire struct {
	inner    http.RoundTripper
	registry string // the host
	pause    *pause
	bearer   atomic.Bool // the registry asks for tokens
	secrets  wireSecrets
}

func (w *wire) RoundTrip(in *http.Request) (*http.Response, error) {
	if err := w.pause.wait(in.Context(), w.really(in.URL)); err != nil {
		return nil, err
	}
	w.secrets.note(in)
	out, err := unsent(in)
	if err != nil {
		return nil, err
	}
	out = w.readdressed(out)
	resp, err := w.inner.RoundTrip(out)
	resp, err = byProxy(out, resp, err)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusUnauthorized && wantsBearer(resp) {
		w.bearer.Store(true)
	}
	w.pause.note(resp)
	w.disguise(in, resp.Header)
	boundBody(resp)
	if err := page(in, resp); err != nil {
		return nil, err
	}
	return resp, nil
}

func wantsBearer(resp *http.Response) bool {
	for _, challenge := range resp.Header.Values("WWW-Authenticate") {
		if len(challenge) >= 6 && strings.EqualFold(challenge[:6], "bearer") {
			return true
		}
	}
	return false
}

// sentBody marks the body of a request that was already sent.
type sentBody struct{ io.ReadCloser }

// unsent returns the request with a body that can be sent. When a token expires
// in the middle of a push, go-containerregistry gets a new one and sends the
// same request again, with the body that the first attempt has consumed; every
// such upload fails. Here that body is opened anew.
//
// The copy is for the transport, which may still be reading the first one.
func unsent(in *http.Request) (*http.Request, error) {
	if in.Body == nil || in.Body == http.NoBody {
		return in, nil
	}
	body := in.Body
	if _, ok := body.(sentBody); ok && in.GetBody != nil {
		again, err := in.GetBody()
		if err != nil {
			return nil, err
		}
		body = again
	}
	in.Body = sentBody{body}
	out := in.WithContext(in.Context())
	out.Body = body
	return out, nil
}
