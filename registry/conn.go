package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// conn is an authenticated way to one repository.
type conn struct {
	repo      name.Repository
	scopes    []string
	anonymous bool   // no credentials were found
	source    string // where they were, if the keychain says so
	wire      *wire
	retry     retrier
	aside     *aside // for abandoning uploads
	transport http.RoundTripper
	puller    *remote.Puller
}

// acceptable are the manifests that we can push, hence those that can be there.
const acceptable = string(types.OCIImageIndex) + "," + string(types.OCIManifestSchema1) + "," +
	string(types.DockerManifestList) + "," + string(types.DockerManifestSchema2)

// blob streams a blob and verifies it.
func (c *conn) blob(ctx context.Context, digest v1.Hash) (io.ReadCloser, error) {
	l, err := c.puller.Layer(ctx, c.repo.Digest(digest.String()))
	if err != nil {
		return nil, c.errorf(err, "reading layer %s of %s", digest, c.repo)
	}
	r, err := l.Compressed()
	if err != nil {
		return nil, c.errorf(err, "reading layer %s of %s", digest, c.repo)
	}
	return &sourceReader{ReadCloser: r, conn: c, digest: digest}, nil
}

// sourceReader names the source in the errors of reading from it: whoever reads
// is about to speak of another registry.
type sourceReader struct {
	io.ReadCloser
	conn   *conn
	digest v1.Hash
}

func (r *sourceReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = r.conn.errorf(err, "reading layer %s of %s", r.digest, r.conn.repo)
	}
	return n, err
}

// manifest reads a manifest and verifies it.
func (c *conn) manifest(ctx context.Context, digest v1.Hash) ([]byte, error) {
	d, err := c.puller.Get(ctx, c.repo.Digest(digest.String()))
	if err != nil {
		return nil, c.errorf(err, "reading manifest %s of %s", digest, c.repo)
	}
	return d.Manifest, nil
}

// sight is what a HEAD of a manifest says.
type sight struct {
	status    int
	digest    v1.Hash // zero if there is none, or the registry does not say
	mediaType types.MediaType
}

// holds tells whether a manifest that was asked for by its digest is there. One that Harbor's
// policies let nobody pull yet (412) is.
func (s sight) holds(digest v1.Hash) bool {
	return s.digest == digest || s.status == http.StatusPreconditionFailed
}

// silent tells that the registry has something and does not say what.
func (s sight) silent() bool { return s.digest == (v1.Hash{}) && s.status != http.StatusNotFound }

// look asks which manifest a tag or digest names.
//
// remote.Head would fail where the registry only forgot a header, and on the
// 403 that some answer for what is absent.
func (c *conn) look(ctx context.Context, ref name.Reference) (sight, error) {
	resp, err := c.send(ctx, http.MethodHead, ref, http.Header{"Accept": {acceptable}}, nil)
	if err != nil {
		return sight{}, c.errorf(err, "looking for %s", ref)
	}
	defer resp.Body.Close()
	seen := sight{status: resp.StatusCode, mediaType: types.MediaType(resp.Header.Get("Content-Type"))}
	switch resp.StatusCode {
	case http.StatusNotFound, http.StatusForbidden, http.StatusPreconditionFailed:
		return seen, nil
	}
	if err := transport.CheckError(resp, http.StatusOK); err != nil {
		return seen, c.errorf(err, "looking for %s", ref)
	}
	if got, err := v1.NewHash(resp.Header.Get("Docker-Content-Digest")); err == nil {
		seen.digest = got
	} else if d, ok := ref.(name.Digest); ok {
		return c.lookInside(ctx, d, seen)
	}
	return seen, nil
}

// lookInside reads a manifest that is there as a HEAD has it, without its digest. There are
// hosts that say 200 to whatever they are asked, and then have all that is pushed.
func (c *conn) lookInside(ctx context.Context, ref name.Digest, seen sight) (sight, error) {
	want, err := v1.NewHash(ref.DigestStr())
	if err != nil {
		return seen, err
	}
	resp, err := c.send(ctx, http.MethodGet, ref, http.Header{"Accept": {acceptable}}, nil)
	if err != nil {
		return seen, c.errorf(err, "looking for %s", ref)
	}
	defer resp.Body.Close()
	if seen.status = resp.StatusCode; seen.status == http.StatusNotFound {
		return seen, nil
	}
	if err := transport.CheckError(resp, http.StatusOK); err != nil {
		return seen, c.errorf(err, "looking for %s", ref)
	}
	got, _, err := v1.SHA256(io.LimitReader(resp.Body, maxMetadata))
	if err == nil && got != want {
		err = &strangerError{resp.Request.URL.Host + " has it, it says, and shows something else"}
	}
	if err != nil {
		return seen, c.errorf(err, "looking for %s", ref)
	}
	seen.digest = want
	return seen, nil
}

// named tells which manifest a tag names, by reading it if the registry does not
// say. It is the zero Hash for a tag that is not there.
func (c *conn) named(ctx context.Context, ref name.Reference) (v1.Hash, error) {
	seen, err := c.look(ctx, ref)
	if err != nil || !seen.silent() {
		return seen.digest, err
	}
	return c.digestOf(ctx, ref)
}

// shown is named of what may be read; the zero Hash stands for what may not, too.
func (c *conn) shown(ctx context.Context, ref name.Reference) (v1.Hash, error) {
	seen, err := c.look(ctx, ref)
	if err != nil || seen.status != http.StatusOK || !seen.silent() {
		return seen.digest, err
	}
	return c.digestOf(ctx, ref)
}

// digestOf reads what a tag names.
func (c *conn) digestOf(ctx context.Context, ref name.Reference) (v1.Hash, error) {
	d, err := c.puller.Get(ctx, ref)
	if err != nil {
		return v1.Hash{}, c.errorf(err, "reading %s", ref)
	}
	return d.Digest, nil
}

// put writes the manifest under a tag or digest, and returns the digest that
// the registry says it has there, or the zero Hash if it does not say.
//
// remote.Pusher would write a fallback tag for each manifest with a subject
// where the registry has no referrers API. BuildKit's attestations, which are
// such manifests, are found through the index that holds them, so nothing needs
// those tags.
func (c *conn) put(ctx context.Context, ref name.Reference, m *manifest) (v1.Hash, error) {
	said, err := c.putAnswer(ctx, ref, m)
	if err != nil {
		return v1.Hash{}, err
	}
	got, err := v1.NewHash(said.Get("Docker-Content-Digest"))
	if err != nil {
		return v1.Hash{}, nil
	}
	return got, nil
}

// putAnswer is put with the header of the answer.
func (c *conn) putAnswer(ctx context.Context, ref name.Reference, m *manifest) (http.Header, error) {
	resp, err := c.send(ctx, http.MethodPut, ref, http.Header{"Content-Type": {string(m.mediaType)}}, m.raw)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	err = transport.CheckError(resp, http.StatusOK, http.StatusCreated, http.StatusAccepted)
	if err != nil && resp.Header.Get("Retry-After") != "" {
		err = comeAgain{err}
	}
	return resp.Header, err
}

// errComeAgain matches a refusal with a time to come again.
var errComeAgain = errors.New("come again later")

type comeAgain struct{ error }

func (c comeAgain) Unwrap() error        { return c.error }
func (c comeAgain) Is(target error) bool { return target == errComeAgain }

// send makes one request about a manifest.
func (c *conn) send(ctx context.Context, method string, ref name.Reference, header http.Header, body []byte) (*http.Response, error) {
	return c.request(ctx, method, "manifests/"+ref.Identifier(), header, body)
}

// request makes one about something of the repository.
func (c *conn) request(ctx context.Context, method, path string, header http.Header, body []byte) (*http.Response, error) {
	u := c.url(path)
	var r io.Reader
	if body != nil {
		r = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), r)
	if err != nil {
		return nil, err
	}
	req.Header = header
	client := http.Client{Transport: c.transport, CheckRedirect: sameSecurity}
	return client.Do(req)
}

// sameSecurity refuses a redirect from https to http.
func sameSecurity(req *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return errors.New("too many redirects")
	}
	if via[0].URL.Scheme == "https" && req.URL.Scheme != "https" {
		return fmt.Errorf("redirect from https to %s", req.URL.Scheme)
	}
	return nil
}
