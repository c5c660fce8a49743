package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/sync/errgroup"
)

// defaultJobs is go-containerregistry's too.
const defaultJobs = 4

// Options are for a Push. The zero value is good for most.
type Options struct {
	// Keychain has the credentials for pushing. Default
	// authn.DefaultKeychain, which reads Docker's and Podman's files.
	Keychain authn.Keychain

	// Transport is used for all requests. Default Transport().
	Transport http.RoundTripper

	// Jobs is how many blobs are uploaded to a registry at a time; beside them, twice
	// as many requests go out that are soon done, those for small blobs among them.
	// Default 4.
	Jobs int

	// Attempts is how often a request or upload is tried when the reason for
	// its failure may pass. Default 8, which wait for half a minute on average,
	// and 5 for connecting and for what fails by a time limit.
	Attempts int

	// Verify asks every registry for every blob and manifest, even those that
	// were there, before tags move; what is missing is sent. Default false: a
	// manifest that is there stands for all that it refers to.
	Verify bool

	// Progress is told how the blobs get on. It is called from several
	// goroutines and holds them up until it returns. Default nil.
	Progress func(Progress)

	// Waiting is told that nothing can be done for a while, and calls what it returns when
	// that is over. It is called from several goroutines, and often. Default nil.
	Waiting func(Wait) (over func())
}

// Push brings an artifact under references on any number of registries. Its
// methods, Check excepted, are not for concurrent use.
type Push struct {
	refs     []name.Reference
	dests    []*dest // in the order of refs
	network  *network
	jobs     int
	verify   bool
	progress func(Progress)
}

// dest is one repository that is pushed to.
type dest struct {
	repo  name.Repository
	conn  *conn
	early map[string]*earlyLook // at its tags
	rest  func()                // has the tags be looked at that are not in early; nil for none
	begun *begun                // uploads for blobs to come; nil: none

	witness name.Reference // the tag that Connect looks at; nil for none

	manifests map[v1.Hash]presence
	ready     map[v1.Hash]bool // all that the manifest refers to is there
	blobs     map[v1.Hash]bool // the blob is there
	seen      map[v1.Hash]bool // whether a blob is there, as of the probe; not all are asked for
}

// presence is what is known of a manifest in a repository.
type presence int

const (
	notAsked presence = iota
	lacking
	brought // by us
	found
)

// NewPush prepares a push to the references, without any I/O. One that is given
// twice counts once; none at all is an error.
//
// A reference by digest makes the push fail for any other artifact.
func NewPush(refs []name.Reference, opt Options) (*Push, error) {
	if len(refs) == 0 {
		return nil, errors.New("preparing push: no reference to push to")
	}
	return newPush(refs, newNetwork(opt), opt), nil
}

// Another is a push to the same references that may be used beside this one. It waits as
// well where a registry asks this one for patience.
func (p *Push) Another() *Push {
	return newPush(p.refs, p.network, Options{Jobs: p.jobs, Verify: p.verify, Progress: p.progress})
}

func newPush(refs []name.Reference, n *network, opt Options) *Push {
	p := &Push{
		network:  n,
		jobs:     opt.Jobs,
		verify:   opt.Verify,
		progress: opt.Progress,
	}
	if p.jobs <= 0 {
		p.jobs = defaultJobs
	}
	seen := map[string]bool{}
	repos := map[string]bool{}
	for _, ref := range refs {
		if seen[ref.Name()] {
			continue
		}
		seen[ref.Name()] = true
		p.refs = append(p.refs, ref)
		if repo := ref.Context(); !repos[repo.Name()] {
			repos[repo.Name()] = true
			p.dests = append(p.dests, &dest{
				repo: repo, early: map[string]*earlyLook{},
				manifests: map[v1.Hash]presence{}, ready: map[v1.Hash]bool{}, blobs: map[v1.Hash]bool{},
			})
		}
	}
	return p
}

// Connect connects to every registry and gets the tokens for pushing there, which
// is the beginning of Upload. A caller that has an image to build first can do
// that meanwhile, and learn early of a registry that is down or gives no token.
//
// It returns while the registries are asked what the last tag of every repository names,
// which says of an image that has not changed that it is there. The other tags are
// asked for when that is known to be so, or where that tag is new. Those requests end with
// ctx.
func (p *Push) Connect(ctx context.Context) error {
	return each(ctx, p.dests, func(connecting context.Context, d *dest) error {
		had := d.conn != nil
		err := p.connect(connecting, d)
		if err == nil && !had {
			p.lookEarly(ctx, d)
		}
		return err
	})
}

func (p *Push) connect(ctx context.Context, d *dest) error {
	if d.conn != nil {
		return nil
	}
	// Of the requests that soon go out at a time, there are most when blobs are looked
	// for beside the manifest and a tag.
	ctx = withSpares(ctx, d.repo.RegistryStr(), 2*p.jobs+2)
	c, err := p.network.dial(ctx, d.repo, []string{d.repo.Scope(transport.PushScope)})
	if err != nil {
		return err
	}
	d.conn = c
	return nil
}

// Upload brings all blobs of the artifact into every repository that has not
// yet got its manifest. It writes no manifest and no tag. All registries are
// served at the same time; the first failure ends the others.
//
// Errors are of type *Error, unless they are the artifact's own: then they
// match ErrBlobMissing or say what could not be read. When ctx ends, Upload
// returns at once, or after 1 s at most if uploads were begun that have to be cancelled:
// also those of which a part was sent, whose bytes a registry would keep.
func (p *Push) Upload(ctx context.Context, a Artifact) error {
	t, err := p.tree(a)
	if err != nil {
		return err
	}
	return p.upload(ctx, t)
}

// tree lists what is to be pushed, after making sure that it may be.
func (p *Push) tree(a Artifact) (*tree, error) {
	t, err := newTree(a)
	if err != nil {
		return nil, err
	}
	for _, ref := range p.refs {
		if d, ok := ref.(name.Digest); ok && d.DigestStr() != t.root.digest.String() {
			return nil, fmt.Errorf("pushing to %s: the image is %s", ref, t.root.digest)
		}
	}
	return t, nil
}

func (p *Push) upload(ctx context.Context, t *tree) error {
	return each(ctx, p.byRegistry(), func(ctx context.Context, group []*dest) error {
		return p.uploadGroup(ctx, group, t)
	})
}

// byRegistry groups the repositories by registry: those can share blobs.
func (p *Push) byRegistry() [][]*dest {
	var groups [][]*dest
	at := map[string]int{}
	for _, d := range p.dests {
		host := d.repo.RegistryStr()
		i, ok := at[host]
		if !ok {
			i = len(groups)
			at[host] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], d)
	}
	return groups
}

// probe connects to a repository and sees whether it has the artifact's manifest. It
// has none that would refer to another that it was just found not to have. Where tags do
// not speak for it, the blobs are asked for at the same time.
func (p *Push) probe(ctx context.Context, d *dest, t *tree) error {
	digest := t.root.digest
	d.seen = nil
	if d.has(digest) || d.ready[digest] {
		return nil
	}
	if err := p.connect(ctx, d); err != nil {
		return err
	}
	if slices.ContainsFunc(t.manifests(), func(m *manifest) bool { return d.manifests[m.digest] == lacking }) {
		return nil
	}
	switch d.tagged(t.root) {
	case tagsNameIt:
		d.found(digest)
		return nil
	case tagsNameOthers:
		defer d.lookForBlobs(ctx, t, 2*p.jobs)()
	}
	var seen sight
	err := d.conn.retry.do(ctx, func(ctx context.Context) (err error) {
		seen, err = d.conn.look(ctx, d.repo.Digest(digest.String()))
		return err
	})
	switch {
	case err != nil:
		return err
	case seen.digest == digest:
		d.found(digest)
	default:
		d.manifests[digest] = lacking
		if !d.witnesses(ctx) {
			d.lookAtRest()
		}
	}
	return nil
}

// found notes that the manifest is there: other tags may name it, too.
func (d *dest) found(digest v1.Hash) {
	d.manifests[digest] = found
	d.lookAtRest()
}

// has tells whether the manifest is known to be there.
func (d *dest) has(digest v1.Hash) bool {
	return d.manifests[digest] == brought || d.manifests[digest] == found
}

// isNewTo tells whether the repository was without the artifact: it lacked a part of it.
func (d *dest) isNewTo(t *tree) bool {
	return !d.has(t.root.digest) && slices.ContainsFunc(t.manifests(), func(m *manifest) bool {
		return d.manifests[m.digest] == lacking || d.manifests[m.digest] == brought
	})
}

// each runs f for all items at the same time.
func each[T any](ctx context.Context, items []T, f func(context.Context, T) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, item := range items {
		g.Go(func() error { return f(ctx, item) })
	}
	return g.Wait()
}
