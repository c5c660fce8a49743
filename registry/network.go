package registry

import (
	"context"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// userAgent is what registries see, before go-containerregistry's own.
const userAgent = "seatrial"

// network is how registries are reached: one for each Push, and one for the
// bases of each Load.
type network struct {
	keychain  authn.Keychain
	transport http.RoundTripper
	retry     retrier
	pause     *pause
	waiting   func(Wait) (over func())
}

// newNetwork fills in the defaults.
func newNetwork(opt Options) *network {
	n := &network{
		keychain:  opt.Keychain,
		transport: opt.Transport,
		retry:     retrier{attempts: opt.Attempts, first: firstBackoff},
		waiting:   opt.Waiting,
	}
	if n.keychain == nil {
		n.keychain = authn.DefaultKeychain
	}
	if n.transport == nil {
		n.transport = Transport()
	}
	if n.retry.attempts <= 0 {
		n.retry.attempts = defaultAttempts
	}
	if n.waiting == nil {
		n.waiting = func(Wait) func() { return func() {} }
	}
	n.pause = &pause{until: map[string]time.Time{}, waiting: n.waiting}
	return n
}

// dial authenticates at the repository's registry for the scopes.
func (n *network) dial(ctx context.Context, repo name.Repository, scopes []string) (*conn, error) {
	c := &conn{
		repo: repo, scopes: scopes, retry: n.retry,
		wire: &wire{inner: n.transport, registry: repo.RegistryStr(), pause: n.pause},
	}
	c.retry.waiting = func(d time.Duration, err error) func() {
		return n.waiting(Wait{Host: repo.RegistryStr(), For: d, Reason: c.reason(err)})
	}
	c.aside = &aside{dial: func(ctx context.Context) (*conn, error) {
		return n.dial(ctx, repo, []string{repo.Scope("pull,push,delete")})
	}}
	if hosts, ok := n.transport.(*Hosts); ok {
		var err error
		if c.repo, c.wire.inner, err = hosts.reach(repo); err != nil {
			return nil, err
		}
	}
	auth, err := authn.Resolve(ctx, n.keychain, repo)
	if err != nil {
		return nil, c.errorf(err, "finding credentials for %s", repo.RegistryStr())
	}
	c.anonymous = auth == authn.Anonymous
	if from, ok := auth.(interface{ Source() string }); ok {
		c.source = from.Source()
	}
	err = c.retry.atMost(contactAttempts).do(ctx, func(ctx context.Context) error {
		c.transport, err = transport.NewWithContext(ctx, c.repo.Registry, auth, transport.NewUserAgent(c.wire, userAgent), scopes)
		return err
	})
	if err != nil {
		return nil, c.errorf(err, "connecting to %s", repo)
	}
	return c, c.open()
}

// open makes the client that reads through the authenticated transport. Given a
// *transport.Wrapper, it neither connects again nor repeats anything.
func (c *conn) open() error {
	var err error
	c.puller, err = remote.NewPuller(c.options()...)
	return err
}

func (c *conn) options() []remote.Option {
	return []remote.Option{
		remote.WithTransport(c.transport),
		remote.WithRetryBackoff(remote.Backoff{Steps: 1}),
	}
}
