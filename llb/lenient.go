package llb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/util/imageutil"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// resolveTimeout bounds how long the registry of a base image may take, of which
// the daemon has a patience of its own.
const resolveTimeout = 20 * time.Second

// lenient resolves images that are not there to something empty, so that one pass
// over a Dockerfile finds all that is missing.
type lenient struct {
	gateway.Client
	mu     sync.Mutex
	absent map[string]error // by normalized reference
}

func (l *lenient) ResolveImageConfig(ctx context.Context, ref string, opt sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	limited, cancel := context.WithTimeoutCause(ctx, resolveTimeout, fmt.Errorf("no answer in %s", resolveTimeout))
	defer cancel()
	name, dgst, config, err := l.Client.ResolveImageConfig(limited, ref, opt)
	var elsewhere *imageutil.ResolveToNonImageError
	if err == nil || ctx.Err() != nil || opt.ImageOpt == nil || errors.As(err, &elsewhere) {
		return name, dgst, config, err
	}
	if limited.Err() != nil {
		err = context.Cause(limited)
	}
	l.mu.Lock()
	l.absent[normalized(ref)] = err
	l.mu.Unlock()
	config, err = json.Marshal(standIn(opt.ImageOpt.Platform))
	return ref, "", config, err
}

// standIn is the configuration of an image that nobody has. It has a layer: the
// converter takes an image without one for scratch.
func standIn(p *ocispecs.Platform) ocispecs.Image {
	img := ocispecs.Image{Platform: platforms.DefaultSpec()}
	if p != nil {
		img.Platform = *p
	}
	img.RootFS = ocispecs.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromString("")}}
	return img
}

// normalized is a reference as LLB has it.
func normalized(ref string) string {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return ref
	}
	return reference.TagNameOnly(named).String()
}
