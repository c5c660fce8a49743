package llb

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/exporter/exporterprovider"
	"github.com/moby/buildkit/session/filesync"
	"github.com/moby/buildkit/session/grpchijack"
	"github.com/tonistiigi/fsutil"
	fstypes "github.com/tonistiigi/fsutil/types"
)

// inputs are what one build offers to the daemon: directories through the
// session, and the frontend attributes that refer to them.
type inputs struct {
	attrs map[string]string
	dirs  filesync.StaticDirSource
	src   *Source // nil if the context is remote
	dir   string  // what keeps contexts of different projects apart
}

// newInputs reads and checks everything on this side, before any daemon is
// asked for anything.
func newInputs(opt Options) (*inputs, error) {
	in := &inputs{attrs: opt.attrs(), dirs: filesync.StaticDirSource{}}
	var err error
	if IsRemote(opt.Context) {
		in.dir = opt.Context
		in.attrs["context"] = opt.Context
		if opt.Dockerfile != "" {
			in.attrs["filename"] = opt.Dockerfile
		}
	} else if err = in.local(opt); err != nil {
		return nil, err
	}
	for _, name := range opt.names() {
		if err := in.named(name, opt.NamedContexts[name]); err != nil {
			return nil, err
		}
	}
	return in, nil
}

func (in *inputs) local(opt Options) error {
	src, err := ReadSource(opt.Context, opt.Dockerfile)
	if err != nil {
		return err
	}
	in.src = src
	in.attrs["filename"] = filepath.Base(src.Dockerfile)
	if in.dir, err = filepath.Abs(src.Dir); err != nil {
		return fmt.Errorf("finding build context: %w", err)
	}
	if err := in.offer(dockerui.DefaultLocalNameContext, src.Dir); err != nil {
		return fmt.Errorf("opening build context %q: %w", src.Dir, err)
	}
	// Our own converter reads it here (localFiles); a frontend image cannot.
	in.dirs[dockerui.DefaultLocalNameDockerfile] = memoryFS{files: src.dockerfile(), read: time.Now()}
	return nil
}

// offer lets the daemon read dir under the name local, files owned by root as
// every Dockerfile builder has them.
func (in *inputs) offer(local, dir string) error {
	fs, err := fsutil.NewFS(dir)
	if err != nil {
		return err
	}
	in.dirs[local], err = fsutil.NewFilterFS(fs, &fsutil.FilterOpt{Map: ownedByRoot})
	return err
}

func ownedByRoot(_ string, st *fstypes.Stat) fsutil.MapResult {
	st.Uid, st.Gid = 0, 0
	return fsutil.MapResultKeep
}

// enforceIgnore puts the ignore file's patterns in place of those that the
// daemon sent. It sends the same, but could as well leave them out: what the
// ignore file keeps back does not leave this machine.
func (in *inputs) enforceIgnore(local string, opt *fsutil.FilterOpt) error {
	if local == dockerui.DefaultLocalNameContext && in.src != nil {
		opt.ExcludePatterns = in.src.Excludes
	}
	return nil
}

// named adds a named context under the frontend contract: context:NAME is what
// replaces NAME.
func (in *inputs) named(name, value string) error {
	if strings.Contains(value, "://") || IsRemote(value) || strings.HasPrefix(value, "target:") {
		in.attrs["context:"+name] = value
		return nil
	}
	fi, err := os.Stat(value)
	if err != nil {
		return fmt.Errorf("reading named context %q: %w", name, err)
	}
	if !fi.IsDir() {
		return fmt.Errorf("reading named context %q: %s is not a directory", name, value)
	}
	local := "context-" + strings.NewReplacer("/", "_", ":", "_").Replace(name)
	if err := in.offer(local, value); err != nil {
		return fmt.Errorf("opening named context %q: %w", name, err)
	}
	in.attrs["context:"+name] = "local:" + local
	return nil
}

// sharedKey names the directory whose files a transfer is the difference to.
// Without one, all projects on a daemon would share, and overwrite, a single
// copy.
func (in *inputs) sharedKey() string {
	host, _ := os.Hostname() // only to keep machines apart on a shared daemon
	sum := sha256.Sum256([]byte(path.Join(host, filepath.ToSlash(in.dir))))
	return hex.EncodeToString(sum[:8])
}

// startSession opens the session that image and tests share. The function it
// returns ends it.
func startSession(ctx context.Context, c *client.Client, in *inputs, opt Options, b *bases, finalize exporterprovider.FinalizeCallback) (*session.Session, func(), error) {
	s, err := session.NewSession(ctx, in.sharedKey())
	if err != nil {
		return nil, nil, fmt.Errorf("creating session: %w", err)
	}
	s.Allow(filesync.NewFSSyncProvider(in.dirs, in.enforceIgnore))
	if opt.PullCredentials != nil {
		if a := newPullAuth(opt.PullCredentials, b); a != nil {
			s.Allow(a)
		}
	}
	for _, a := range opt.Attachables {
		s.Allow(a)
	}
	stores, err := opt.cacheStores()
	if err != nil {
		return nil, nil, err
	}
	if stores != nil {
		s.Allow(stores)
	}
	s.Allow(exporterprovider.New(nil, exporterprovider.WithFinalizeCallback(finalize)))
	// The session outlives ctx a little: a cancelled build still says how it
	// ended.
	runCtx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Run(runCtx, coalescing(grpchijack.Dialer(c.ControlClient()))) // a lost session fails the solve that needs it
	}()
	return s, func() {
		_ = s.Close()
		cancel(context.Canceled)
		<-done
	}, nil
}
