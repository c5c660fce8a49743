package llb

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/platforms"
	bkllb "github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/dockerui"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// Beside is an image that a trial needs and that has to be built, from a Dockerfile of
// its own, in the session of the image that is tried.
type Beside struct {
	// Context is a directory, or a git or http(s) URL that the daemon fetches.
	Context string
	// Dockerfile is a path: of a local file when the context is a directory
	// (default CONTEXT/Dockerfile), inside the context when it is a URL.
	Dockerfile string
	// Inline is the text of the Dockerfile, instead of a file.
	Inline string
	// Target is a stage. Default: the last one.
	Target string
	// Args are the values of ARG instructions.
	Args map[string]string
}

// besides are the images that were asked for.
type besides struct {
	mu     sync.Mutex
	stages map[string]func() (*Stage, error)
	built  map[digest.Digest]bool // vertices that make them
}

// Beside converts the Dockerfile of another image. Named contexts of the build serve it
// as well, and so do the frontend images that the build allows.
func (t *Trial) Beside(ctx context.Context, b Beside, p ocispecs.Platform) (*Stage, error) {
	raw, err := json.Marshal(b) // maps are sorted
	if err != nil {
		return nil, fmt.Errorf("encoding a build: %w", err)
	}
	key := string(raw) + platforms.FormatAll(p)
	t.besides.mu.Lock()
	if t.besides.stages == nil {
		t.besides.stages, t.besides.built = map[string]func() (*Stage, error){}, map[digest.Digest]bool{}
	}
	once := t.besides.stages[key]
	if once == nil {
		once = sync.OnceValues(func() (*Stage, error) { return t.convertBeside(ctx, b, p) })
		t.besides.stages[key] = once
	}
	t.besides.mu.Unlock()
	st, err := once()
	if err != nil {
		return nil, fmt.Errorf("build %s: %w", RedactURLs(b.Context), err)
	}
	return st, nil
}

func (t *Trial) convertBeside(ctx context.Context, b Beside, p ocispecs.Platform) (*Stage, error) {
	own := &besideClient{stageInputs: stageInputs{Client: t.Client, opts: t.besideOpts(b, p), states: map[string]bkllb.State{}}}
	c, err := t.besideClient(own, b)
	if err != nil {
		return nil, err
	}
	cv, err := openConversion(ctx, t.bases.client(c))
	if err != nil {
		return nil, err
	}
	syn, err := cv.checkSyntax(t.allowed)
	if err == nil && syn.Frontend != "" {
		if err = own.offerDockerfile(syn); err == nil {
			_, err = cv.chooseFrontend(ctx, t.Client, t.allowed, t.bases)
		}
	}
	if err != nil {
		return nil, err
	}
	stages, err := cv.stages(ctx, "", nil)
	if err != nil {
		return nil, err
	}
	t.besides.mu.Lock()
	defer t.besides.mu.Unlock()
	for _, dt := range stages[0].def.Def {
		t.besides.built[digest.FromBytes(dt)] = true
	}
	return stages[0], nil
}

// besideClient is a gateway under the frontend contract for b. Its context is an input
// of the frontend, for a local one could only be called as that of the image is.
func (t *Trial) besideClient(c *besideClient, b Beside) (gateway.Client, error) {
	if IsRemote(b.Context) {
		c.opts["context"] = b.Context
		if b.Inline == "" {
			if b.Dockerfile != "" {
				c.opts["filename"] = b.Dockerfile
			}
			return c, nil
		}
		c.opts["dockerfilekey"] = dockerui.DefaultLocalNameDockerfile
	}
	src, err := b.source()
	if err != nil {
		return nil, err
	}
	c.src = src
	c.opts["filename"] = filepath.Base(src.Dockerfile)
	if src.Dir != "" {
		if c.states[dockerui.DefaultLocalNameContext], err = t.offerBeside(src); err != nil {
			return nil, err
		}
	}
	return &localFiles{Client: c, src: src}, nil
}

func (b Beside) source() (*Source, error) {
	if b.Inline != "" {
		return ReadDockerfile(b.Context, strings.NewReader(b.Inline))
	}
	return ReadSource(b.Context, b.Dockerfile)
}

// offerBeside lets the daemon read a directory.
func (t *Trial) offerBeside(src *Source) (bkllb.State, error) {
	files, err := openDir(src.Dir, t.inputs.hidden)
	if err != nil {
		return bkllb.State{}, fmt.Errorf("opening build context %q: %w", src.Dir, err)
	}
	abs, err := filepath.Abs(src.Dir)
	if err != nil {
		return bkllb.State{}, fmt.Errorf("finding build context: %w", err)
	}
	shown := filepath.Base(abs)
	local := shown + "-" + digest.FromString(abs + "\x00" + strings.Join(src.Excludes, "\x00")).Encoded()[:8]
	t.inputs.offer(local, files, src.Excludes, ownedByRoot)
	return bkllb.Local(local, bkllb.SessionID(t.Client.BuildOpts().SessionID), bkllb.SharedKeyHint(local),
		bkllb.WithCustomName("[test] load build context "+shown)), nil
}

// besideOpts are the options of the image's build without those that are its own.
func (t *Trial) besideOpts(b Beside, p ocispecs.Platform) map[string]string {
	opts := unattested(t.conversion.ui.BuildOpts().Opts)
	maps.DeleteFunc(opts, func(k, v string) bool {
		if strings.HasPrefix(v, "input:") || strings.HasPrefix(k, "input-metadata:") {
			return true // a stage of the image's Dockerfile
		}
		switch k {
		case "target", "filename", "context", "contextkey", "dockerfilekey", "contextsubdir", "cmdline", "source", "multi-platform":
			return true
		}
		return strings.HasPrefix(k, "build-arg:") || strings.HasPrefix(k, "label:")
	})
	if opts["no-cache"] != "" { // stages of the image
		delete(opts, "no-cache")
	}
	opts["platform"] = platforms.FormatAll(p)
	if b.Target != "" {
		opts["target"] = b.Target
	}
	for k, v := range b.Args {
		opts["build-arg:"+k] = v
	}
	return opts
}

// besideClient is a gateway whose options are all of its own.
type besideClient struct {
	stageInputs
	src *Source // nil: the Dockerfile is in a remote context
}

// offerDockerfile has a frontend image read the Dockerfile, which it would look for
// where that of the image is. One that does not know inputs is refused by the daemon.
func (c *besideClient) offerDockerfile(syn Syntax) error {
	if c.src == nil {
		return nil
	}
	if c.opts["dockerfilekey"] != "" {
		return &SyntaxError{Frontend: syn.Frontend, Reason: "it cannot be given a Dockerfile from here beside a remote context"}
	}
	st := bkllb.Scratch()
	for _, name := range slices.Sorted(maps.Keys(c.src.dockerfiles())) {
		st = st.File(bkllb.Mkfile("/"+name, 0o644, c.src.dockerfiles()[name]), bkllb.WithCustomName("[test] load "+name))
	}
	c.states[dockerui.DefaultLocalNameDockerfile] = st
	return nil
}

// BuildOpts implements gateway.Client.
func (c *besideClient) BuildOpts() gateway.BuildOpts {
	out := c.Client.BuildOpts()
	out.Opts = maps.Clone(c.opts)
	return out
}

// ofBeside tells whether a vertex makes an image beside the one that is tried.
func (t *Trial) ofBeside(dgst digest.Digest) bool {
	t.besides.mu.Lock()
	defer t.besides.mu.Unlock()
	return t.besides.built[dgst]
}
