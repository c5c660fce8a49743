package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// referrersOf are what refers to a manifest: what the registry lists, or else what is
// under the tag that stands in for a list. It is nil if nothing does.
func (c *conn) referrersOf(ctx context.Context, subject v1.Hash) (*v1.IndexManifest, error) {
	listed, err := c.listed(ctx, subject)
	var refused *transport.Error
	if listed != nil || err != nil && (passing(err) || !errors.As(err, &refused)) {
		return listed, err
	}
	tagged, tagErr := c.taggedReferrers(ctx, subject)
	if tagged != nil || tagErr != nil {
		return tagged, tagErr
	}
	if refused != nil && classifyAnswer(refused) == KindDenied {
		return nil, err // it may have a list
	}
	return nil, nil
}

// listed is what the referrers API says. It is nil if the answer is something else,
// such as the page that some registries have for every address they do not know.
//
// remote.Referrers fails where a registry says in another way than with 404 that it
// has no such API.
func (c *conn) listed(ctx context.Context, subject v1.Hash) (*v1.IndexManifest, error) {
	resp, err := c.request(ctx, http.MethodGet, "referrers/"+subject.String(), http.Header{"Accept": {string(types.OCIImageIndex)}}, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if err := transport.CheckError(resp, http.StatusOK); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxMetadata))
	if err != nil {
		return nil, err
	}
	m, err := parseReferrers(body, resp.Header.Get("Content-Type"))
	if err != nil {
		return nil, nil //nolint:nilerror // it is no list, which is the answer
	}
	return m, nil
}

// taggedReferrers is what is under the tag that stands in for the referrers API. It is
// nil if there is no such tag.
func (c *conn) taggedReferrers(ctx context.Context, subject v1.Hash) (*v1.IndexManifest, error) {
	ref := ReferrersTag(c.repo, subject)
	d, err := c.puller.Get(ctx, ref)
	var answer *transport.Error
	if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m, err := parseReferrers(d.Manifest, string(d.MediaType))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	return m, nil
}

// ReferrersTag is the tag that lists what refers to a manifest where there is no referrers
// API: the distribution specification's "Referrers Tag Schema".
func ReferrersTag(repo name.Repository, subject v1.Hash) name.Tag {
	return repo.Tag(strings.Replace(subject.String(), ":", "-", 1))
}

// parseReferrers reads an index, whose type may be in it or beside it.
func parseReferrers(body []byte, contentType string) (*v1.IndexManifest, error) {
	m := &v1.IndexManifest{}
	if err := json.Unmarshal(body, m); err != nil {
		return nil, fmt.Errorf("parsing a list of referrers: %w", err)
	}
	if beside, _, err := mime.ParseMediaType(contentType); err == nil && m.MediaType == "" {
		m.MediaType = types.MediaType(beside)
	}
	if m.SchemaVersion != 2 || m.MediaType != types.OCIImageIndex {
		return nil, fmt.Errorf("parsing a list of referrers: it is no index but %q", m.MediaType)
	}
	return m, nil
}
