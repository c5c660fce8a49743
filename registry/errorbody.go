package registry

import (
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	maxErrorBody  = 32 << 10         // go-containerregistry forgets the status of an answer with more than 64 KiB
	errorBodyTime = 10 * time.Second // for all of it
)

// boundBody bounds what may be said beside the status of an answer. A body that
// never ends, or drips, would hold up the push, and hide the status, which tells
// whether to try again.
func boundBody(resp *http.Response) {
	ping := strings.HasSuffix(resp.Request.URL.Path, "/v2/") // go-containerregistry reads it to the end
	if resp.StatusCode < http.StatusBadRequest && !ping {
		return
	}
	body := resp.Body
	resp.Body = &boundedBody{Reader: io.LimitReader(body, maxErrorBody), body: body, timer: time.AfterFunc(errorBodyTime, func() { _ = body.Close() })}
}

// boundedBody ends well whatever happens: what was read of it will do.
type boundedBody struct {
	io.Reader
	body  io.Closer
	timer *time.Timer
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil {
		err = io.EOF
	}
	return n, err
}

func (b *boundedBody) Close() error {
	b.timer.Stop()
	return b.body.Close()
}
