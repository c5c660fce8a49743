package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// blobUpload is one blob on its way into one repository.
type blobUpload struct {
	digest   v1.Hash
	size     int64
	from     *name.Repository // of the same registry, to mount it from; nil for none
	open     func() (io.ReadCloser, error)
	transfer *transfer
	lanes    lanes
	unasked  bool   // it is sent without asking whether it is there
	seen     *bool  // whether it is there, if that was asked just now
	begun    *begun // uploads of which it may have one
	broke    bool   // the last try ended without an answer
	sent     func() // is called when the transport has all bytes; may be nil
}

// begunFor is how long an upload that was begun may wait for its turn. It is begun anew
// then: what that costs is nothing beside the wait, and no registry is known to forget
// one sooner.
const begunFor = time.Minute

// upload brings a blob into the repository unless it is there: by mounting it, or
// by the POST and one PUT that the distribution specification calls monolithic.
// It is how containerd and BuildKit upload. go-containerregistry's PATCH before
// the PUT has the registry store its state between the two, and costs a round
// trip more.
func (c *conn) upload(ctx context.Context, b *blobUpload) error {
	there, err := c.isThere(ctx, b)
	if err != nil {
		return err
	}
	if there {
		b.transfer.set(StateExists, b.size)
		return nil
	}
	if b.size <= smallBlob {
		return b.lanes.ask.do(ctx, func() error { return c.bring(ctx, b) })
	}
	return b.lanes.layer.do(ctx, func() error { return c.bring(ctx, b) })
}

// isThere asks for a blob in its turn, unless it need not be asked for.
func (c *conn) isThere(ctx context.Context, b *blobUpload) (there bool, err error) {
	switch {
	case b.unasked:
		return false, nil
	case b.seen != nil:
		return *b.seen, nil
	}
	err = b.lanes.ask.do(ctx, func() error {
		there, err = c.hasBlob(ctx, b.digest)
		return err
	})
	return there, err
}

// bring mounts or sends a blob that is not there.
func (c *conn) bring(ctx context.Context, b *blobUpload) error {
	after, done := lingering(ctx)
	defer done()
	if location := b.begun.take(ctx); location != nil {
		if err := c.putInTurn(ctx, after, location, b); !forgotten(err) {
			return err
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	// The answer is waited for when ctx ends: without it nobody could cancel the upload.
	location, err := c.startUpload(after, b)
	if err != nil {
		return err
	}
	if location == nil {
		b.transfer.set(StateMounted, b.size)
		return nil
	}
	return c.putInTurn(ctx, after, location, b)
}

// putInTurn sends a blob, if it is a large one when it is its turn, which is over when all
// is sent. An upload that comes to nothing is abandoned, for which there is time until
// after ends.
func (c *conn) putInTurn(ctx, after context.Context, location *url.URL, b *blobUpload) error {
	leave := func() {}
	if b.size > smallBlob {
		began := time.Now()
		var err error
		if leave, err = b.lanes.send.turn(ctx); err != nil {
			c.abandon(after, location)
			return err
		}
		defer leave()
		b.sent = leave
		if time.Since(began) > begunFor {
			c.abandon(after, location)
			if location, err = c.startUpload(after, &blobUpload{}); err != nil {
				return err
			}
		}
	}
	if err := c.putBlob(ctx, location, b); err != nil {
		leave()
		if !forgotten(err) {
			c.abandon(after, location)
		}
		return err
	}
	b.transfer.set(StateDone, b.size)
	return nil
}

// forgotten tells that a registry knows an upload no more that it has begun.
func forgotten(err error) bool {
	var answer *transport.Error
	return errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound
}

func (c *conn) hasBlob(ctx context.Context, digest v1.Hash) (bool, error) {
	resp, err := c.do(ctx, http.MethodHead, c.url("blobs/"+digest.String()), nil)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if err := transport.CheckError(resp, http.StatusOK, http.StatusNotFound); err != nil {
		return false, err
	}
	return resp.StatusCode == http.StatusOK, nil
}

// startUpload returns where to put the blob, nil if it was mounted, which it is only if that was
// asked for.
func (c *conn) startUpload(ctx context.Context, b *blobUpload) (*url.URL, error) {
	u := c.url("blobs/uploads/")
	if b.from != nil {
		u.RawQuery = url.Values{"mount": {b.digest.String()}, "from": {b.from.RepositoryStr()}}.Encode()
	}
	resp, err := c.do(ctx, http.MethodPost, u, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if err := transport.CheckError(resp, http.StatusCreated, http.StatusAccepted); err != nil {
		if b.from == nil {
			return nil, err
		}
		// Some registries fail where they should offer an upload instead
		// (google/go-containerregistry#1404, #1679).
		again := *b
		again.from = nil
		return c.startUpload(ctx, &again)
	}
	if resp.StatusCode == http.StatusCreated && b.from != nil {
		return nil, nil
	}
	return uploadLocation(resp)
}

// uploadLocation is where the answer to a POST wants the blob.
func uploadLocation(resp *http.Response) (*url.URL, error) {
	location := resp.Header.Get("Location")
	if location == "" {
		return nil, &strangerError{"the registry offers an upload without a Location"}
	}
	u, err := url.Parse(location)
	if err != nil {
		return nil, errors.New("the registry offers an upload at a Location that is no URL")
	}
	asked := resp.Request.URL
	u = asked.ResolveReference(u)
	switch {
	case asked.Scheme == "https" && u.Scheme != "https":
		return nil, fmt.Errorf("the registry sends the upload from https to %s", u.Scheme)
	case u.Hostname() != asked.Hostname() && internal(u.Hostname()):
		// As go-containerregistry: a registry must not have us write to
		// what only we can reach.
		return nil, fmt.Errorf("the registry sends the upload to the internal address %s", u.Hostname())
	}
	return u, nil
}

func internal(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && (ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified())
}

func (c *conn) putBlob(ctx context.Context, location *url.URL, b *blobUpload) error {
	query := location.Query()
	query.Set("digest", b.digest.String())
	to := *location
	to.RawQuery = query.Encode()
	resp, err := c.do(ctx, http.MethodPut, &to, b)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return transport.CheckError(resp, http.StatusOK, http.StatusCreated, http.StatusNoContent)
}

// do makes a request about a blob, whose bytes are the body if there is one.
func (c *conn) do(ctx context.Context, method string, u *url.URL, body *blobUpload) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	if body != nil {
		if req.Body, err = body.reader(); err != nil {
			return nil, err
		}
		// For a token that expires just now: see unsent.
		req.GetBody = body.reader
		req.ContentLength = body.size
		req.Header.Set("Content-Type", "application/octet-stream")
		if body.broke {
			// A proxy that takes no body of this size says so and hangs up, and
			// whoever is still sending sees a broken connection only.
			req.Header.Set("Expect", "100-continue")
		}
		if body.size == 0 {
			_ = req.Body.Close()
			req.Body = http.NoBody // otherwise 0 would mean "unknown"
		}
	}
	client := http.Client{Transport: c.transport, CheckRedirect: sameSecurity}
	return client.Do(req)
}

// reader opens the blob, and tells when it was read to its end.
func (b *blobUpload) reader() (io.ReadCloser, error) {
	r, err := b.open()
	if err != nil || b.sent == nil {
		return r, err
	}
	return &endReader{ReadCloser: r, left: b.size, end: b.sent}, nil
}

// endReader calls end with the last byte, which need not come with io.EOF.
type endReader struct {
	io.ReadCloser
	left int64
	end  func()
}

func (r *endReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if r.left -= int64(n); r.left <= 0 {
		r.end()
	}
	return n, err
}

// url is a place below the repository.
func (c *conn) url(path string) *url.URL {
	return &url.URL{
		Scheme: c.repo.Scheme(), Host: c.repo.RegistryStr(),
		Path: fmt.Sprintf("/v2/%s/%s", c.repo.RepositoryStr(), path),
	}
}
