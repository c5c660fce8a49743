package testsuite

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/platforms"
	bkllb "github.com/moby/buildkit/client/llb"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/testsuite/helper"
	"github.com/seatrial/seatrial/testsuite/helper/protocol"
)

// helperStep is what the step is called that loads the helper.
const helperStep = "[internal] load test helper"

// Phases are those of the solve that tries the image. A suite serves one solve.
func (s *Suite) Phases() llb.Phases {
	return llb.Phases{Stages: s.Stages, Try: s.Try, Gear: s.gear(), ContextPaths: s.contextPaths()}
}

// gear is what the tests need of the session.
func (s *Suite) gear() llb.Gear {
	return llb.Gear{
		Stores:  map[string]content.Store{helper.StoreID: &shelfStore{Store: helper.Store(), shelf: &s.shelf}},
		Secret:  s.control,
		Socket:  s.socket,
		Witness: s.witness,
	}
}

// wrapper has the helper start the commands of a run, whose output it keeps, and ends
// them in time. It joins them to what they are to reach.
func (s *Suite) wrapper(t *llb.Trial, r *run) (llb.Wrapper, error) {
	w := llb.Wrapper{
		Program:    func(p ocispecs.Platform) *bkllb.State { return s.program(t.Client.BuildOpts().SessionID, p) },
		ProgramDir: protocol.BinDir, OutDir: protocol.OutDir,
		Secret: r.secret(), SecretPath: protocol.ControlFile,
	}
	run := protocol.Run{Out: protocol.OutDir, Control: protocol.ControlFile}
	view := viewFrom(r.test.network(), t)
	r.view = view
	if len(r.services) > 0 {
		key, err := servicesKey(r.services)
		if err != nil {
			return w, err
		}
		run.Doorbell, run.Key = protocol.DoorbellSocket, key
		w.Sockets = append(w.Sockets, llb.Socket{ID: r.doorbell(), Path: protocol.DoorbellSocket})
		w.Hosts = view.hosts(r.services, -1)
		if len(r.test.shared()) > 0 {
			run.Volumes = protocol.VolumesDir
		}
	}
	addForwards(&w, &run, r.test.Forwards, view)
	if len(w.Sockets) > 0 {
		for _, p := range r.graph.Platforms {
			if s.shelf.image(p) == nil {
				return w, errNoHelper(p)
			}
		}
	}
	if run.Volumes != "" || slices.ContainsFunc(r.ports(), func(port int) bool { return port < privileged }) {
		w.ArgsAs = func(user string) []string {
			run.User = user
			args, err := protocol.Args(protocol.ModeRun, run)
			if err != nil {
				return w.Args // which has the same options
			}
			return args
		}
	}
	var err error
	w.Args, err = protocol.Args(protocol.ModeRun, run)
	return w, err
}

// privileged is the first port at which anybody may listen: at those below, the helper
// listens as root.
const privileged = 1024

// ports are those at which the test reaches something.
func (r *run) ports() []int {
	var out []int
	for _, v := range r.services {
		out = append(out, v.Spec.Ports...)
	}
	for _, f := range r.test.Forwards {
		if n, err := strconv.Atoi(f.port()); err == nil {
			out = append(out, n)
		}
	}
	return out
}

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
	by      map[string]func() *helper.Image
	images  []*helper.Image
	variant int // which is given out
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
	return helper.Store(s.shelf.images...)
}

// Info implements content.InfoProvider.
func (s *shelfStore) Info(ctx context.Context, dgst digest.Digest) (content.Info, error) {
	return s.unpacked().Info(ctx, dgst)
}

// ReaderAt implements content.Provider.
func (s *shelfStore) ReaderAt(ctx context.Context, desc ocispecs.Descriptor) (content.ReaderAt, error) {
	return s.unpacked().ReaderAt(ctx, desc)
}

// image is nil where there is no helper.
func (s *shelf) image(p ocispecs.Platform) *helper.Image {
	if p.OS != "linux" {
		return nil
	}
	return s.once(p.Architecture)()
}

func (s *shelf) once(arch string) func() *helper.Image {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by == nil {
		s.by = map[string]func() *helper.Image{}
	}
	variant := s.variant
	key := fmt.Sprintf("%s %d", arch, variant)
	if s.by[key] == nil {
		s.by[key] = sync.OnceValue(func() *helper.Image {
			image, err := helper.NewImage(arch, variant)
			if err != nil {
				return nil
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			s.images = append(s.images, image)
			return image
		})
	}
	return s.by[key]
}

// secret is the ID of the file that tells the helper the time limit. It is part of the
// cache key, the file is not.
func (r *run) secret() string { return "seatrial/" + title(r.name, r.platform) + r.shardSuffix() }

// control is that file. It is asked for when a command is about to start.
func (s *Suite) control(id string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.runs {
		if r.split != nil && r.split.run != nil && r.split.run.secret() == id {
			return r.split.control(s.left(r.split.run))
		}
		if r.secret() != id {
			continue
		}
		r.asked++
		left, limited := s.left(r)
		if !limited {
			return []byte("{}")
		}
		dt, err := json.Marshal(protocol.Control{TimeoutMS: max(1, left.Milliseconds())})
		if err != nil {
			return []byte("{}")
		}
		return dt
	}
	return nil
}

// left is how long the commands of a run may still take. The time of its first command
// counts for all.
func (s *Suite) left(r *run) (time.Duration, bool) {
	now := time.Now()
	if r.began.IsZero() {
		r.began = now
	}
	left, limited := time.Duration(0), false
	if r.test.Timeout > 0 {
		left, limited = r.test.Timeout-now.Sub(r.began), true
	}
	if s.Timeout > 0 {
		if all := s.Timeout - now.Sub(s.began); !limited || all < left {
			left, limited = all, true
		}
	}
	return left, limited
}
