package testsuite

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/platforms"
	bkllb "github.com/moby/buildkit/client/llb"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seatrial/seatrial/testsuite/helper"
)

// helperStep is what the step is called that loads the helper.
const helperStep = "[internal] load test helper"

// program is the filesystem with the helper for a platform, which a session offers, nil
// if there is none.
func (s *Suite) program(session string, p ocispecs.Platform) *bkllb.State {
	image := s.shelf.image(p)
	if image == nil {
		return nil
	}
	st := bkllb.OCILayout(image.Reference(), bkllb.OCIStore(session, helper.StoreID),
		bkllb.Platform(p), bkllb.WithCustomName(helperStep))
	return &st
}

// errNoHelper says that services need the helper.
func errNoHelper(p ocispecs.Platform) error {
	return fmt.Errorf("there is no test helper for %s: no test can have services there", platforms.Format(p))
}

// shelf has the images of the helper that were asked for.
type shelf struct {
	mu      sync.Mutex
	by      map[string]*helper.Image // by architecture and variant
	variant int                      // which is given out
}

// errUnfetchable is what a daemon says of a blob that it once had a part of.
const errUnfetchable = "unsupported offset"

// next gives out another variant than the one that cannot be fetched.
func (s *shelf) next(unfetchable int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.variant = max(s.variant, unfetchable+1)
}

func (s *shelf) current() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.variant
}

// shelfStore offers what is on the shelf, to read.
type shelfStore struct {
	content.Store // for what it refuses
	shelf         *shelf
}

func (s *shelfStore) unpacked() content.Store {
	s.shelf.mu.Lock()
	defer s.shelf.mu.Unlock()
	return helper.Store(slices.Collect(maps.Values(s.shelf.by))...)
}

// Info implements content.InfoProvider.
func (s *shelfStore) Info(ctx context.Context, dgst digest.Digest) (content.Info, error) {
	return s.unpacked().Info(ctx, dgst)
}

// ReaderAt implements content.Provider.
func (s *shelfStore) ReaderAt(ctx context.Context, desc ocispecs.Descriptor) (content.ReaderAt, error) {
	return s.unpacked().ReaderAt(ctx, desc)
}

// image is nil where there is no helper. It is not unpacked before it is read.
func (s *shelf) image(p ocispecs.Platform) *helper.Image {
	if p.OS != "linux" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := fmt.Sprintf("%s %d", p.Architecture, s.variant)
	if image, ok := s.by[key]; ok {
		return image
	}
	image, err := helper.NewImage(p.Architecture, s.variant)
	if err != nil {
		return nil
	}
	if s.by == nil {
		s.by = map[string]*helper.Image{}
	}
	s.by[key] = image
	return image
}
