package llb

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	controlapi "github.com/moby/buildkit/api/services/control"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/tonistiigi/fsutil"
	"google.golang.org/grpc"

	"github.com/seatrial/seatrial/hack/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// onEach runs a test on a rootful and a rootless buildkitd, and on one from
// before v0.32, which calls no finalize callback.
func onEach(t *testing.T, f func(t *testing.T, c *client.Client)) {
	t.Run("root", func(t *testing.T) { f(t, dial(t, testenv.SharedDaemon(t, testenv.Root))) })
	t.Run("rootless", func(t *testing.T) { f(t, dial(t, testenv.SharedDaemon(t, testenv.Rootless))) })
	t.Run("v0.31", func(t *testing.T) { f(t, dial(t, oldDaemon(t))) })
}

// oldDaemon is a buildkitd of hack/compat.
func oldDaemon(t *testing.T) *testenv.Daemon {
	return testenv.StartDaemon(t, testenv.DaemonOptions{Kind: testenv.Root, Binary: testenv.Binary(t, "buildkitd-old")})
}

func dial(t *testing.T, d *testenv.Daemon) *client.Client {
	t.Helper()
	c, err := client.New(context.Background(), d.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// base pushes the image busybox and returns its reference.
func base(t *testing.T) string {
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
	return testenv.Push(t, reg.Host+"/library/busybox", testenv.BusyboxImage(t)).Context().Name() + ":latest"
}

// options build dir with the image busybox under its own name.
func options(t *testing.T, dir string) Options {
	return Options{Context: dir, NamedContexts: map[string]string{"busybox": "docker-image://" + base(t)}}
}

// nonce makes a step that no build before had.
func nonce(t *testing.T) string { return "RUN : " + path.Base(t.TempDir()) + t.TempDir() }

// TestSharedStepsRunOnce has a stage and the image build on one slow step, and a
// command on the image: all of them in builds of their own.
func TestSharedStepsRunOnce(t *testing.T) {
	onEach(t, func(t *testing.T, c *client.Client) {
		var mu sync.Mutex
		ran := 0
		opt := options(t, testenv.Dir(t, "Dockerfile",
			"FROM busybox AS base\nCOPY a /\n"+nonce(t)+" && sleep 0.3 && echo shared-step-ran\nFROM base AS check\nCOPY b /\nRUN test -e /b\nFROM base\n",
			"a", "", "b", ""))
		opt.Status = func(st *client.SolveStatus) {
			mu.Lock()
			defer mu.Unlock()
			for _, l := range st.Logs {
				ran += strings.Count(string(l.Data), "shared-step-ran")
			}
		}
		_, err := Solve(context.Background(), c, opt, Phases{
			Stages: func([]string) ([]string, error) { return []string{"check"}, nil },
			Try: func(ctx context.Context, tr *Trial) error {
				st, err := tr.Stage("check", tr.Images[0].Platform)
				if err != nil {
					return err
				}
				g, err := tr.StageGraph(st)
				if err != nil {
					return err
				}
				if len(g.Commands) != 1 || len(g.Vertices) != 2 {
					return fmt.Errorf("the stage has %d vertices of its own and %d commands, want 2 and 1", len(g.Vertices), len(g.Commands))
				}
				_, err = tr.Solve(ctx, g)
				return err
			},
			Ship: func(ctx context.Context, s *Shipment) error { return s.Verdict(ctx) },
		})
		if err != nil {
			t.Fatal(err)
		}
		if ran != 1 {
			t.Errorf("the shared step was seen to run %d times, want 1", ran)
		}
	})
}

// TestStepsThatIgnoreTheCacheRunOnce has what is tried be what is shipped, though no
// step may come from the cache.
func TestStepsThatIgnoreTheCacheRunOnce(t *testing.T) {
	onEach(t, func(t *testing.T, c *client.Client) {
		var mu sync.Mutex
		ran := 0
		opt := options(t, testenv.Dir(t, "Dockerfile", "FROM busybox\n"+nonce(t)+" && echo the-step-ran\n"))
		opt.NoCache = true
		opt.Status = func(st *client.SolveStatus) {
			mu.Lock()
			defer mu.Unlock()
			for _, l := range st.Logs {
				ran += strings.Count(string(l.Data), "the-step-ran")
			}
		}
		for want := 1; want <= 2; want++ {
			_, err := Solve(context.Background(), c, opt, Phases{
				Try:  func(context.Context, *Trial) error { return nil },
				Ship: func(ctx context.Context, s *Shipment) error { return s.Verdict(ctx) },
			})
			if err != nil {
				t.Fatal(err)
			}
			if ran != want {
				t.Errorf("after solve %d the step was seen to run %d times", want, ran)
			}
		}
	})
}

// TestTrialThatJoinsLate has the trial's build begin when the image's has ended, if
// that ends without it: before v0.32 nothing else holds it.
func TestTrialThatJoinsLate(t *testing.T) {
	ended := make(chan struct{})
	late := func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		solve, ok := req.(*controlapi.SolveRequest)
		if !ok {
			return invoke(ctx, method, req, reply, cc, opts...)
		}
		if solve.Internal { // the trial's
			select {
			case <-ended:
			case <-time.After(2 * time.Second): // it waits for the trial, as it should
			}
			return invoke(ctx, method, req, reply, cc, opts...)
		}
		defer close(ended)
		return invoke(ctx, method, req, reply, cc, opts...)
	}
	c, err := client.New(t.Context(), oldDaemon(t).Addr, client.WithGRPCDialOption(grpc.WithChainUnaryInterceptor(late)))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	opt := options(t, testenv.Dir(t, "Dockerfile", "FROM busybox\n"+nonce(t)+" && date +%N && echo the-step-ran\n"))
	opt.NoCache = true
	ran := 0
	opt.Status = func(st *client.SolveStatus) {
		for _, l := range st.Logs {
			ran += strings.Count(string(l.Data), "the-step-ran")
		}
	}
	_, err = Solve(t.Context(), c, opt, Phases{
		Try:  func(context.Context, *Trial) error { return nil },
		Ship: func(ctx context.Context, s *Shipment) error { return s.Verdict(ctx) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if ran != 1 {
		t.Errorf("the step ran %d times, want what is tried to be what is shipped", ran)
	}
}

func TestBuildErrorHasItsLines(t *testing.T) {
	onEach(t, func(t *testing.T, c *client.Client) {
		opt := options(t, testenv.Dir(t, "Dockerfile", "FROM busybox\nRUN true\nRUN echo it broke && exit 7\n"))
		res, err := Solve(context.Background(), c, opt, Phases{
			Try:  func(ctx context.Context, _ *Trial) error { <-ctx.Done(); return ctx.Err() },
			Ship: func(context.Context, *Shipment) error { t.Error("Ship was called"); return nil },
		})
		sources := errdefs.Sources(err)
		if len(sources) != 1 || sources[0].Ranges[0].Start.Line != 3 {
			t.Fatalf("Solve() = %v with sources %v, want line 3", err, sources)
		}
		failed := res.Record.Failed()
		if len(failed) != 1 || !strings.Contains(string(failed[0].Log), "it broke") {
			t.Errorf("Failed() = %+v, want the step with its output", failed)
		}
	})
}

func TestCancelledSolveSaysWhy(t *testing.T) {
	onEach(t, func(t *testing.T, c *client.Client) {
		why := errors.New("the tide went out")
		ctx, cancel := context.WithCancelCause(context.Background())
		opt := options(t, testenv.Dir(t, "Dockerfile", "FROM busybox\nRUN true\n"))
		_, err := Solve(ctx, c, opt, Phases{
			Try:  func(ctx context.Context, _ *Trial) error { cancel(why); <-ctx.Done(); return ctx.Err() },
			Ship: func(ctx context.Context, s *Shipment) error { return s.Verdict(ctx) },
		})
		if !errors.Is(err, why) {
			t.Errorf("Solve() = %v, want %v", err, why)
		}
	})
}

// TestFrontendEqualsBuiltIn compares image digests with those of the daemon's own
// frontend.
func TestFrontendEqualsBuiltIn(t *testing.T) {
	c := dial(t, testenv.SharedDaemon(t, testenv.Root))
	image := base(t)
	for name, dockerfile := range map[string]string{
		"plain":     "FROM busybox\nENV A=b\nWORKDIR /srv\nCOPY . .\nRUN echo $A >out\nUSER app\nCMD [\"true\"]\n",
		"args":      "ARG V=1\nFROM busybox\nARG V\nLABEL v=$V\nRUN echo $V >/v\n",
		"stages":    "FROM busybox AS a\nRUN echo a >/a\nFROM busybox\nCOPY --from=a /a /b\n",
		"heredoc":   "FROM busybox\nRUN <<EOF\necho one\necho two >/two\nEOF\nCOPY <<E /three\nthree\nE\n",
		"scratch":   "FROM scratch\nCOPY file /\n",
		"link":      "FROM busybox\nCOPY --link file /linked\nHEALTHCHECK CMD true\n",
		"syntax":    "# syntax=docker/dockerfile:1.4\nFROM busybox\nRUN echo hi >/hi\n",
		"platforms": "FROM --platform=$BUILDPLATFORM busybox\nARG TARGETARCH\nRUN echo $TARGETARCH >/arch\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := testenv.Dir(t, "Dockerfile", dockerfile, "file", "content", "sub/other", "x", ".dockerignore", "Dockerfile\n")
			attrs := map[string]string{"context:busybox": "docker-image://" + image, "build-arg:V": "2", "label:org.example": "x"}
			if got, want := frontendDigest(t, c, dir, attrs, Frontend), frontendDigest(t, c, dir, attrs, nil); got != want {
				t.Errorf("digest = %s, want the built-in frontend's %s", got, want)
			}
		})
	}
}

// frontendDigest builds dir by f, or by the daemon's own frontend if f is nil.
func frontendDigest(t *testing.T, c *client.Client, dir string, attrs map[string]string, f gateway.BuildFunc) string {
	t.Helper()
	fs, err := fsutil.NewFS(dir)
	if err != nil {
		t.Fatal(err)
	}
	opt := client.SolveOpt{
		FrontendAttrs: map[string]string{},
		LocalMounts:   map[string]fsutil.FS{"context": fs, "dockerfile": fs},
		Exports:       []client.ExportEntry{{Type: client.ExporterImage, Attrs: map[string]string{}}},
	}
	for k, v := range attrs {
		opt.FrontendAttrs[k] = v
	}
	var resp *client.SolveResponse
	if f != nil {
		resp, err = c.Build(context.Background(), opt, "", f, nil)
	} else {
		// A syntax line would have the daemon fetch that frontend.
		opt.FrontendAttrs["cmdline"] = ""
		opt.Frontend = "dockerfile.v0"
		resp, err = c.Solve(context.Background(), nil, opt, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return resp.ExporterResponse[exptypes.ExporterImageDigestKey]
}

func TestSyntaxOfOthersIsRefused(t *testing.T) {
	c := dial(t, testenv.SharedDaemon(t, testenv.Root))
	opt := options(t, testenv.Dir(t, "Dockerfile", "# syntax=example.com/evil/frontend\nFROM busybox\n"))
	_, err := Solve(context.Background(), c, opt, Phases{})
	var syntax *SyntaxError
	if !errors.As(err, &syntax) || syntax.Frontend != "example.com/evil/frontend" {
		t.Errorf("Solve() = %v, want a *SyntaxError that names the frontend", err)
	}
}

// TestIgnoreFileHoldsAgainstTheDaemon reads the context as a daemon does that
// sends no exclude patterns.
func TestIgnoreFileHoldsAgainstTheDaemon(t *testing.T) {
	dir := testenv.Dir(t, "Dockerfile", "FROM busybox\n", ".dockerignore", "secret*\n!secret.pub\n", "secret.key", "x", "secret.pub", "y", "app", "z")
	in, err := newInputs(Options{Context: dir})
	if err != nil {
		t.Fatal(err)
	}
	opt := &fsutil.FilterOpt{}
	if err := in.filter("context", opt); err != nil {
		t.Fatal(err)
	}
	shown, err := fsutil.NewFilterFS(in.offers["context"], opt)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	err = shown.Walk(context.Background(), "", func(path string, _ iofs.DirEntry, err error) error {
		got = append(got, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	if want := []string{".dockerignore", "Dockerfile", "app", "secret.pub"}; !slices.Equal(got, want) {
		t.Errorf("the daemon sees %q, want %q", got, want)
	}
}
