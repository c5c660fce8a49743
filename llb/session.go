package llb

import (
	"context"
	"fmt"
	"maps"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/exporter/exporterprovider"
	"github.com/moby/buildkit/session/grpchijack"
)

// startSession opens the session that image and tests share. The function it
// returns ends it.
func startSession(ctx context.Context, c *client.Client, in *inputs, opt Options, gear Gear, b *bases, finalize exporterprovider.FinalizeCallback) (*session.Session, func(), error) {
	s, err := session.NewSession(ctx, in.sharedKey())
	if err != nil {
		return nil, nil, fmt.Errorf("creating session: %w", err)
	}
	s.Allow(newFileSync(in))
	if opt.PullCredentials != nil {
		if a := newPullAuth(opt, b); a != nil {
			s.Allow(a)
		}
	}
	stores, err := opt.cacheStores()
	if err != nil {
		return nil, nil, err
	}
	maps.Copy(stores, in.stores)
	gear.attach(s, opt.Attachables, stores)
	s.Allow(exporterprovider.New(nil, exporterprovider.WithFinalizeCallback(finalize)))
	return s, runSession(ctx, c, s), nil
}

// runSession has the daemon use a session until the function that it returns is called. The
// session outlives ctx a little: a cancelled build still says how it ended.
func runSession(ctx context.Context, c *client.Client, s *session.Session) (end func()) {
	runCtx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Run(runCtx, coalescing(grpchijack.Dialer(c.ControlClient()))) // a lost session fails the solve that needs it
	}()
	return func() {
		_ = s.Close()
		cancel(context.Canceled)
		<-done
	}
}
