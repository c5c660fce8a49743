package registry

import (
	"context"
	"net"
	"strings"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// sourceLabel is what containerd and BuildKit note with a blob that they have pulled
// or pushed: which repositories of the host that the key ends in have it.
const sourceLabel = "containerd.io/distribution.source."

// labelled is a Store that knows what a daemon has noted with its blobs.
type labelled interface {
	labels(ctx context.Context, digest v1.Hash) map[string]string
}

// labelsOf is empty for a Store that knows none.
func labelsOf(ctx context.Context, s Store, digest v1.Hash) map[string]string {
	if l, ok := s.(labelled); ok {
		return l.labels(ctx, digest)
	}
	return nil
}

// labels of a blob that cannot be asked for are none: they only spare work.
func (d daemonContent) labels(ctx context.Context, digest v1.Hash) map[string]string {
	resp, err := d.client.Info(ctx, &contentapi.InfoRequest{Digest: digest.String()})
	if err != nil {
		return nil
	}
	return resp.GetInfo().GetLabels()
}

func (d *dialContent) labels(ctx context.Context, digest v1.Hash) map[string]string {
	return labelsOf(ctx, d.Store, digest)
}

func (c contentDirs) labels(ctx context.Context, digest v1.Hash) map[string]string {
	return labelsOf(ctx, c.next, digest)
}

// labelledSource gives the repository that the labels name for a blob, of the
// registry that it is to go to. Labels leave out ports, so that it may be one of
// another registry on the same host; then there is nothing to mount, and the blob is
// sent. Of several, the one whose name is most like the destination's is the most
// likely to be readable with its credentials.
func labelledSource(labels map[string]string, to name.Repository) (name.Repository, bool) {
	host := to.RegistryStr()
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if to.RegistryStr() == name.DefaultRegistry {
		host = "docker.io"
	}
	best, alike := "", -1
	for _, repo := range strings.Split(labels[sourceLabel+host], ",") {
		if repo == "" || repo == to.RepositoryStr() {
			continue
		}
		if n := common(repo, to.RepositoryStr()); n >= alike {
			best, alike = repo, n
		}
	}
	if best == "" {
		return name.Repository{}, false
	}
	from, err := name.NewRepository(to.RegistryStr() + "/" + best)
	return from, err == nil
}

// common counts the components that two names begin with alike.
func common(a, b string) int {
	x, y := strings.Split(a, "/"), strings.Split(b, "/")
	n := 0
	for n < len(x) && n < len(y) && x[n] == y[n] {
		n++
	}
	return n
}
