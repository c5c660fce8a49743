package sigstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
)

// Services are what a keyless signature needs, by their URLs.
type Services struct {
	Fulcio string
	Rekor  string // a log; "" for none
	TSA    string // a timestamp authority, with its path; "" for none

	// RekorVersion is 2 for a log of Rekor's second version, which does not say when it
	// took an entry. Default: the first.
	RekorVersion uint32
}

// Public are the services that everybody may use, and that show everybody which
// identity has signed.
var Public = Services{
	Fulcio: "https://fulcio.sigstore.dev",
	Rekor:  "https://rekor.sigstore.dev",
	TSA:    "https://timestamp.sigstore.dev/api/v1/timestamp",
}

// ReadSigningConfig reads which services to use from a signing config, as cosign has
// them. Where it names logs of both versions of Rekor, one of the second is used, as
// cosign does.
func ReadSigningConfig(path string) (Services, error) {
	config, err := root.NewSigningConfigFromPath(path)
	if err != nil {
		return Services{}, fmt.Errorf("reading signing config %s: %w", path, err)
	}
	var errs []error
	of := func(what string, services []root.Service, versions ...uint32) root.Service {
		one, err := root.SelectService(services, versions, time.Now())
		if err != nil && len(services) > 0 {
			errs = append(errs, fmt.Errorf("none of the %s can be used today", what))
		}
		return one
	}
	fulcio := of("caUrls", config.FulcioCertificateAuthorityURLs(), 1)
	log := of("rekorTlogUrls", config.RekorLogURLs(), 1, 2)
	tsa := of("tsaUrls", config.TimestampAuthorityURLs(), 1)
	if fulcio.URL == "" && len(errs) == 0 {
		errs = append(errs, errors.New("it names no Fulcio"))
	}
	if err := errors.Join(errs...); err != nil {
		return Services{}, fmt.Errorf("reading signing config %s: %w", path, err)
	}
	return Services{Fulcio: fulcio.URL, Rekor: log.URL, RekorVersion: log.MajorAPIVersion, TSA: tsa.URL}, nil
}

// Check says what is wrong with the URLs. A token is sent over plain HTTP to loopback
// only.
func (s Services) Check() error {
	if s.Fulcio == "" {
		return errors.New("no URL of Fulcio")
	}
	if s.Rekor == "" && s.TSA == "" {
		return errors.New("neither a log nor a timestamp authority: nobody could tell later that the certificate was valid")
	}
	if s.RekorVersion == 2 && s.TSA == "" {
		return errors.New("no timestamp authority: a log of Rekor's second version does not say when the certificate was valid")
	}
	for _, one := range []string{s.Fulcio, s.Rekor, s.TSA} {
		u, err := url.Parse(one)
		switch {
		case err != nil || one != "" && u.Host == "":
			return fmt.Errorf("%q is not a URL", one)
		case u.Scheme == "http" && !loopback(u.Hostname()):
			return fmt.Errorf("%s is not to be trusted without HTTPS", u.Host)
		}
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

const (
	attempts    = 4
	firstWait   = 500 * time.Millisecond
	callTimeout = 30 * time.Second
	maxAnswer   = 4 << 20
	shownAnswer = 200 // bytes
)

// call makes one request and reads the answer. What may pass is tried again: a build
// and its tests are behind it.
func call(ctx context.Context, method, address, contentType string, body []byte, header http.Header) ([]byte, error) {
	var err error
	wait := firstWait
	for n := range attempts {
		if n > 0 {
			select {
			case <-time.After(wait):
				wait *= 2
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}
		var again bool
		var answer []byte
		if answer, again, err = callOnce(ctx, method, address, contentType, body, header); err == nil {
			return answer, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if !again {
			break
		}
	}
	return nil, err
}

func callOnce(ctx context.Context, method, address, contentType string, body []byte, header http.Header) (answer []byte, again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, false, err
	}
	for key, values := range header {
		req.Header[key] = values
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	// Not a redirect: it would take the token elsewhere.
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return nil, true, bare(err)
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, true, err
	}
	if resp.StatusCode/100 != 2 {
		again = resp.StatusCode >= http.StatusInternalServerError || resp.StatusCode == http.StatusTooManyRequests
		text := strings.TrimSpace(string(answer[:min(len(answer), shownAnswer)]))
		return nil, again, &refusal{resp.StatusCode, fmt.Sprintf("%s answered %s: %s", req.URL.Host, resp.Status, text)}
	}
	return answer, false, nil
}

// refusal is an answer that is not what was asked for.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

// bare is an error without the URL, whose query may be nobody's business.
func bare(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
