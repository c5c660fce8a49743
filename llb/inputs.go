package llb

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"sync"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/tonistiigi/fsutil"
	fstypes "github.com/tonistiigi/fsutil/types"
)

// inputs are what one build offers to the daemon: files through the session, and
// the frontend attributes that refer to them.
type inputs struct {
	attrs  map[string]string
	offers map[string]*offer // by local name
	stores map[string]content.Store
	stages map[string]string // named contexts that are stages
	gits   map[string]string // and those that are git repositories by SSH
	src    *Source           // nil if the Dockerfile is remote
	dir    string            // what keeps contexts of different projects apart
	hidden string            // what is no part of any context
	large  func(Transfer)    // Options.Large

	mu      sync.Mutex    // of offers, too
	failure error         // the first file that could not be sent
	failed  chan struct{} // closed when there is one
}

// newInputs reads and checks everything on this side, before any daemon is
// asked for anything.
func newInputs(opt Options) (*inputs, error) {
	in := &inputs{
		attrs: opt.attrs(), offers: map[string]*offer{}, stores: map[string]content.Store{},
		stages: map[string]string{}, gits: map[string]string{}, src: opt.Source, hidden: opt.Hidden, large: opt.Large, failed: make(chan struct{}),
	}
	if err := in.main(opt); err != nil {
		return nil, err
	}
	for _, name := range opt.names() {
		if err := in.named(name, opt.NamedContexts[name]); err != nil {
			return nil, err
		}
	}
	return in, nil
}

// main offers the main context and the Dockerfile.
func (in *inputs) main(opt Options) error {
	remote := IsRemote(opt.Context)
	if remote {
		in.dir = opt.Context
		in.attrs["context"] = opt.Context
	}
	var err error
	switch {
	case in.src != nil:
	case remote:
		if opt.Dockerfile != "" {
			in.attrs["filename"] = opt.Dockerfile
		}
		return nil
	default:
		if in.src, err = ReadSource(opt.Context, opt.Dockerfile); err != nil {
			return err
		}
	}
	in.attrs["filename"] = path.Base(filepath.ToSlash(in.src.Dockerfile))
	in.offer(dockerui.DefaultLocalNameDockerfile, inMemory(in.src.dockerfiles()), nil, ownedByRoot)
	switch {
	case in.src.archive != nil:
		in.offer(dockerui.DefaultLocalNameContext, in.src.archive, in.src.Excludes, keepOwner)
	case in.src.Dir != "":
		return in.local(in.src.Dir, opt.Hidden)
	default:
		in.attrs["dockerfilekey"] = dockerui.DefaultLocalNameDockerfile // not the one in the context
	}
	return nil
}

func (in *inputs) local(dir, hidden string) error {
	fs, err := openDir(dir, hidden)
	if err != nil {
		return fmt.Errorf("opening build context %q: %w", dir, err)
	}
	if in.dir, err = filepath.Abs(dir); err != nil {
		return fmt.Errorf("finding build context: %w", err)
	}
	in.offer(dockerui.DefaultLocalNameContext, fs, in.src.Excludes, ownedByRoot)
	return nil
}

// offer lets the daemon read files under the name local.
func (in *inputs) offer(local string, files fsutil.FS, excludes []string, own func(*fstypes.Stat)) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.offers[local] != nil {
		return // the same, for another build
	}
	in.offers[local] = &offer{
		FS: files, name: local, excludes: excludes, own: own, failed: in.fail, large: in.large,
		files: map[string]version{}, sent: map[string]int64{}, special: map[string]bool{},
	}
}

// LookupDir implements filesync.DirSource.
func (in *inputs) LookupDir(local string) (fsutil.FS, bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	o, ok := in.offers[local]
	return o, ok
}

// filter decides what of an offer is sent.
func (in *inputs) filter(local string, opt *fsutil.FilterOpt) error {
	in.mu.Lock()
	o := in.offers[local]
	in.mu.Unlock()
	o.filter(opt)
	return nil
}

// fail notes why files could not be sent. The daemon passes it on as it likes.
func (in *inputs) fail(err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.failure == nil {
		in.failure = err
		close(in.failed)
	}
}

// cause is what ended the build: the file that could not be sent, if there is one.
func (in *inputs) cause(err error) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if err != nil && in.failure != nil {
		return in.failure
	}
	return err
}

// located says which context err is about if that is a remote one: the daemon does
// not.
func (in *inputs) located(err error) error {
	if url := in.attrs["context"]; url != "" {
		return fmt.Errorf("reading build context %s: %w", RedactURLs(url), err)
	}
	return err
}

// sharedKey names the directory whose files a transfer is the difference to.
// Without one, all projects on a daemon would share, and overwrite, a single
// copy.
func (in *inputs) sharedKey() string {
	host, _ := os.Hostname() // only to keep machines apart on a shared daemon
	dir := in.dir
	if dir == "" { // standard input: what is built here is most likely to be alike
		dir, _ = os.Getwd()
	}
	sum := sha256.Sum256([]byte(path.Join(host, filepath.ToSlash(dir))))
	return hex.EncodeToString(sum[:8])
}
