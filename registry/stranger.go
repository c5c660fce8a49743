package registry

import (
	"bufio"
	"io"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// strangerError is an answer that no registry gives. What gives one may do so to all that it
// is asked: for every blob, then, and for a manifest that it was sent, it would seem to be a
// registry that has it.
type strangerError struct{ what string }

func (e *strangerError) Error() string { return e.what }

// strange tells whether a request has succeeded in a way that no registry knows, such as
// 200 for an upload that was to begin. What a registry sends blobs to may answer as it likes.
func strange(answer *transport.Error) bool {
	return answer.Request != nil && answer.StatusCode < http.StatusMultipleChoices &&
		strings.HasPrefix(original(answer.Request).URL.Path, "/v2/")
}

// page is an error if the answer to the question how a registry wants to be spoken to is a web
// page. Registries name themselves in a header; one that does not may still be one, as long
// as it shows no page.
func page(in *http.Request, resp *http.Response) error {
	if !isPing(original(in)) || resp.StatusCode != http.StatusOK || resp.Header.Get("Docker-Distribution-Api-Version") != "" {
		return nil
	}
	kind := resp.Header.Get("Content-Type")
	if kind == "" {
		body := bufio.NewReaderSize(resp.Body, 512)
		start, _ := body.Peek(512) // what there is of it will do
		kind = http.DetectContentType(start)
		resp.Body = &peekedBody{body, resp.Body}
	}
	if !strings.HasPrefix(strings.ToLower(kind), "text/html") {
		return nil
	}
	_ = resp.Body.Close()
	return &strangerError{"the answer is a web page (of " + resp.Request.URL.Host + "), and does not say that this is a registry"}
}

// original is the request whose answers have redirected us to this one.
func original(req *http.Request) *http.Request {
	for req.Response != nil && req.Response.Request != nil {
		req = req.Response.Request
	}
	return req
}

type peekedBody struct {
	io.Reader
	io.Closer
}
