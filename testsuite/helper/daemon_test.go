package helper_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/moby/buildkit/client"
	bkllb "github.com/moby/buildkit/client/llb"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	gatewaypb "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/solver/errdefs"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/tonistiigi/fsutil"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/testsuite/helper"
	"github.com/seatrial/seatrial/testsuite/helper/protocol"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// countingStore counts how often bytes of the layer are asked for.
type countingStore struct {
	content.Store
	layers *atomic.Int64
}

func (s countingStore) ReaderAt(ctx context.Context, desc ocispecs.Descriptor) (content.ReaderAt, error) {
	r, err := s.Store.ReaderAt(ctx, desc)
	if err == nil && r.Size() > 1<<16 { // manifest and configuration are smaller
		s.layers.Add(1)
	}
	return r, err
}

// builder runs commands under the helper on a daemon.
type builder struct {
	client  *client.Client
	image   *helper.Image
	rootfs  fsutil.FS
	control string
	bell    *bell                                              // nil: there is none
	serve   func(ctx context.Context, g gateway.Client) func() // what is to run beside a step, until the function it returns
	layers  atomic.Int64                                       // how many pieces of the helper were transferred
}

func onEach(t *testing.T, f func(t *testing.T, b *builder)) {
	image := hostImage(t)
	for _, opt := range []testenv.DaemonOptions{
		{Kind: testenv.Root},
		{Kind: testenv.Rootless},
		{Kind: testenv.Rootless, Flags: []string{"--oci-worker-no-process-sandbox"}},
	} {
		t.Run(strings.Join(append([]string{opt.Kind.String()}, opt.Flags...), " "), func(t *testing.T) {
			d := testenv.StartDaemon(t, opt)
			c, err := client.New(t.Context(), d.Addr)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			f(t, &builder{client: c, image: image, rootfs: busybox(t)})
		})
	}
}

// hostImage is the helper as it is now, for the daemons of this machine.
func hostImage(t *testing.T) *helper.Image {
	t.Helper()
	path := filepath.Join(t.TempDir(), "init")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", path, "./init")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	image, err := helper.ImageOf(runtime.GOARCH, program, 0)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// busybox is a directory with nothing but that, and users.
func busybox(t *testing.T) fsutil.FS {
	t.Helper()
	dir := t.TempDir()
	program, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"bin/busybox": program,
		"etc/passwd":  []byte("root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n"),
		"etc/group":   []byte("root:x:0:\napp:x:1000:\ndata:x:1001:app\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("busybox", filepath.Join(dir, "bin/sh")); err != nil {
		t.Fatal(err)
	}
	files, err := fsutil.NewFS(dir)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// came is what a run left behind.
type came struct {
	exit        uint32
	log, result string
	shown       string // what the daemon passed on
	cached      bool
}

func rootfs() bkllb.State {
	return bkllb.Scratch().File(bkllb.Copy(bkllb.Local("busybox"), "/", "/"))
}

func (b *builder) program() bkllb.State {
	return bkllb.OCILayout(b.image.Reference(), bkllb.OCIStore("", helper.StoreID))
}

// run solves one step, whatever comes out of it.
func (b *builder) run(t *testing.T, opt protocol.Run, script string, extra ...bkllb.RunOption) came {
	t.Helper()
	opt.Out = protocol.OutDir
	opt.Control = protocol.ControlFile
	args, err := protocol.Args(protocol.ModeRun, opt, "/bin/sh", "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	step := rootfs().Run(append([]bkllb.RunOption{
		bkllb.Args(args), bkllb.Network(bkllb.NetModeNone), bkllb.ReadonlyRootFS(),
		bkllb.AddEnv("PATH", "/bin"),
		bkllb.AddMount(protocol.BinDir, b.program(), bkllb.Readonly),
		bkllb.AddSecret(protocol.ControlFile, bkllb.SecretID("control"), bkllb.SecretFileOpt(0, 0, 0o444)),
	}, extra...)...)
	out := step.AddMount(protocol.OutDir, bkllb.Scratch().File(bkllb.Mkdir("/out", 0o777)), bkllb.SourcePath("/out"))
	def, err := out.Marshal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got came
	status := make(chan *client.SolveStatus)
	collected := make(chan struct{})
	go func() {
		defer close(collected)
		for s := range status {
			for _, l := range s.Logs {
				got.shown += string(l.Data)
			}
			for _, v := range s.Vertexes {
				got.cached = got.cached || v.Cached && strings.Contains(v.Name, protocol.Init)
			}
		}
	}()
	_, err = b.client.Build(t.Context(), b.solveOpt(), "", func(ctx context.Context, g gateway.Client) (*gateway.Result, error) {
		if b.serve != nil {
			defer b.serve(ctx, g)()
		}
		return gateway.NewResult(), got.build(ctx, g, def)
	}, status)
	<-collected
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// build solves the step and reads the files out of the mount, also if it failed.
func (c *came) build(ctx context.Context, g gateway.Client, def *bkllb.Definition) error {
	res, err := g.Solve(ctx, gateway.SolveRequest{Definition: def.ToPB(), Evaluate: true})
	var solve *errdefs.SolveError
	var exit *gatewaypb.ExitError
	switch {
	case err == nil:
		ref, err := res.SingleRef()
		if err != nil {
			return err
		}
		return c.read(func(name string) ([]byte, error) {
			return ref.ReadFile(ctx, gateway.ReadRequest{Filename: "/out/" + name})
		})
	case !errors.As(err, &solve) || !errors.As(err, &exit):
		return err
	}
	c.exit = exit.ExitCode
	req := gateway.NewContainerRequest{}
	for i, m := range solve.Op.GetExec().Mounts {
		if m.Dest == "/" || m.Dest == protocol.OutDir {
			req.Mounts = append(req.Mounts, gateway.Mount{Dest: m.Dest, Selector: m.Selector, ResultID: solve.MountIDs[i], MountType: m.MountType})
		}
	}
	ctr, err := g.NewContainer(ctx, req)
	if err != nil {
		return err
	}
	defer ctr.Release(ctx)
	return c.read(func(name string) ([]byte, error) {
		return ctr.ReadFile(ctx, gateway.ReadContainerRequest{
			ReadRequest: gateway.ReadRequest{Filename: "/out/" + name}, MountIndex: 1,
		})
	})
}

func (c *came) read(read func(name string) ([]byte, error)) error {
	log, err := read(protocol.LogFile)
	if err != nil {
		return err
	}
	result, err := read(protocol.ResultFile)
	c.log, c.result = string(log), string(result)
	return err
}

// The daemon clips what a step prints; the log has it all. A process that is
// left in the background neither delays the end nor outlives it.
func TestInContainer(t *testing.T) {
	const size = 5_000_000
	for _, exit := range []uint32{0, 3} {
		t.Run(fmt.Sprint(exit), func(t *testing.T) {
			onEach(t, func(t *testing.T, b *builder) {
				mark := unique()
				script := fmt.Sprintf("busybox id -u; busybox sleep %s & busybox yes 0123456789 | busybox head -c %d; exit %d", mark, size, exit)
				got := b.run(t, protocol.Run{}, script, bkllb.User("1000"))
				if got.exit != exit || len(got.log) != size+len("1000\n") || !strings.HasPrefix(got.log, "1000\n0123456789\n") {
					t.Errorf("exit code %d with a log of %d bytes, want %d with %d", got.exit, len(got.log), exit, size+5)
				}
				if len(got.shown) >= size {
					t.Errorf("the daemon passed on %d bytes: this test proves nothing", len(got.shown))
				}
				if !strings.Contains(got.result, fmt.Sprintf(`"exit":%d,`, exit)) {
					t.Errorf("result: %s", got.result)
				}
				if left := processes(t, mark); left != "" {
					t.Errorf("left behind: %s", left)
				}
			})
		})
	}
}

// A time limit is no part of the cache key, and leaves what was printed.
func TestTimeLimitInContainer(t *testing.T) {
	onEach(t, func(t *testing.T, b *builder) {
		const script = `trap "" TERM; echo begun; busybox sleep $DURATION & busybox sleep $DURATION; while :; do busybox sleep $DURATION; done`
		mark := unique()
		b.control = `{"timeout_ms": 1500}`
		got := b.run(t, protocol.Run{}, script, bkllb.AddEnv("DURATION", mark))
		if got.exit != protocol.ExitTimeout || !strings.HasPrefix(got.log, "begun\nseatrial: the time limit of 1.5s is over") {
			t.Errorf("exit code %d, log %q", got.exit, got.log)
		}
		if left := processes(t, mark); left != "" {
			t.Errorf("left behind: %s", left)
		}
	})
}

// A step that passed runs no more, and the helper is not sent again. It starts as
// root here and becomes another user.
func TestCached(t *testing.T) {
	onEach(t, func(t *testing.T, b *builder) {
		const script = `echo $(busybox id) $HOME`
		b.control = `{"timeout_ms": 60000}`
		got := b.run(t, protocol.Run{User: "app"}, script)
		if want := "uid=1000(app) gid=1000(app) groups=1000(app),1001(data) /home/app\n"; got.log != want {
			t.Errorf("log %q, want %q", got.log, want)
		}
		sent := b.layers.Load() // in pieces
		if got.cached || sent == 0 {
			t.Errorf("first run: cached %v, the helper was read in %d pieces", got.cached, sent)
		}
		b.control = `{"timeout_ms": 61000}`
		again := b.run(t, protocol.Run{User: "app"}, script)
		if n := b.layers.Load(); !again.cached || again.log != got.log || n != sent {
			t.Errorf("second run: cached %v, log %q, the helper was read in %d more pieces", again.cached, again.log, n-sent)
		}
		b.run(t, protocol.Run{User: "app"}, "echo something else")
		if n := b.layers.Load(); n != sent {
			t.Errorf("another test: the helper was read in %d more pieces", n-sent)
		}
	})
}
