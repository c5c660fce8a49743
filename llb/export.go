package llb

import (
	"context"
	"fmt"
	"maps"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/frontend/attestations"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/session"
)

// Export has the daemon give the image to more exporters, such as the one that
// writes its files into a directory (client.ExporterLocal). Called after Verdict,
// it exports what was tried: until Release is called, the steps have the results
// that they had, those that were built without the cache included.
//
// It is a build of its own. What the daemon attests in it, the time of the build
// for one, is not what it attested of Descriptor, so an exporter of images gives
// another digest where attestations were asked for.
func (s *Shipment) Export(ctx context.Context, exports []client.ExportEntry) error {
	return s.export(ctx, exports)
}

func (s *solve) export(ctx context.Context, exports []client.ExportEntry) error {
	t, err := s.trial.get(ctx)
	if err != nil {
		return err
	}
	opt := s.base
	opt.Exports = exports
	opt.FrontendAttrs = maps.Clone(s.inputs.attrs)
	opt.Internal = true
	// The exporters' targets can be offered only by a session that begins.
	// Steps keep to the other one.
	opt.SharedSession, opt.SessionPreInitialized = nil, false
	if s.opt.PullCredentials != nil {
		if a := newPullAuth(s.opt, s.bases); a != nil {
			opt.Session = append(opt.Session, a) // for base layers that no step has needed
		}
	}
	target := newExportTarget(exports)
	if target != nil {
		sess, err := session.NewSession(ctx, "")
		if err != nil {
			return fmt.Errorf("creating session: %w", err)
		}
		for _, a := range append(opt.Session, target) {
			sess.Allow(a)
		}
		defer runSession(ctx, s.client, sess)()
		opt.SharedSession, opt.SessionPreInitialized = sess, true
	}
	_, err = s.client.Build(ctx, opt, "", func(ctx context.Context, c gateway.Client) (*gateway.Result, error) {
		cv := *t.conversion
		cv.gateway = s.bases.client(c)
		return cv.image(ctx, t.Images)
	}, s.status.stream())
	if target != nil {
		err = target.cause(ctx, err)
	}
	return err
}

// unattested is attrs without the demand for attestations, which are of the image
// and not of what is tried on it.
func unattested(attrs map[string]string) map[string]string {
	out := maps.Clone(attrs)
	for k := range attestations.Filter(attrs) {
		delete(out, k)
	}
	return out
}
