package llb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/cmd/buildctl/build"
	"github.com/moby/buildkit/session/sshforward/sshprovider"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/apicaps"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seatrial/seatrial/hack/testenv"
)

const demanding = `ARG VERSION
FROM 127.0.0.1:1/no/such:1 AS missing
RUN echo $UNKNOWABLE
FROM busybox AS app
ENV API_TOKEN=x
RUN --mount=type=secret,id=maybe true
RUN --mount=type=secret,id=maybe,required=true true
RUN --mount=type=secret,id=offered,required=true true
RUN --mount=type=secret,id=env,env=VALUE,required=true true
RUN --mount=type=ssh true
RUN --network=host true
RUN --security=insecure true
FROM app AS test
COPY --from=missing /x /
FROM app
`

// list is what is missing, as KIND NAME:LINE, with a ? behind what is optional.
func list(all []Missing) []string {
	var out []string
	for _, m := range all {
		text := fmt.Sprintf("%s %s", m.Kind, m.Name)
		if m.Source != nil {
			text += fmt.Sprintf(":%d", m.Source.Ranges[0].Start.Line)
		}
		if m.Optional {
			text += "?"
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return out
}

func noTests([]string) ([]string, error) { return nil, nil }

func TestCheckFindsAllThatIsMissing(t *testing.T) {
	t.Setenv("OFFERED", "x")
	offered, err := build.ParseSecret([]string{"id=offered,env=OFFERED"})
	if err != nil {
		t.Fatal(err)
	}
	onEach(t, func(t *testing.T, c *client.Client) {
		opt := options(t, testenv.Dir(t, "Dockerfile", demanding))
		opt.Attachables = append(opt.Attachables, offered)
		got, err := Check(context.Background(), c, opt, func(have []string) ([]string, error) {
			if !slices.Contains(have, "test") {
				t.Errorf("stages = %q, want test among them", have)
			}
			return []string{"test"}, nil
		})
		if err != nil || got.Err != nil {
			t.Fatalf("Check() = %v, %v", err, got)
		}
		want := []string{
			"entitlement network.host:11", "entitlement security.insecure:12",
			"image 127.0.0.1:1/no/such:1:2",
			"refused network.host", "refused security.insecure",
			"secret env:9", "secret maybe:7", "ssh default:10?",
		}
		if list := list(got.Missing); !slices.Equal(list, want) {
			t.Errorf("missing = %q, want %q", list, want)
		}
		var rules []string
		for _, w := range got.Lint.Warnings {
			rules = append(rules, w.RuleName)
		}
		// Nothing of $UNKNOWABLE: the image that may define it is not there.
		if want := []string{"SecretsUsedInArgOrEnv"}; !slices.Equal(rules, want) {
			t.Errorf("rules = %q, want %q", rules, want)
		}
	})
}

// An agent that is offered is not missing.
func TestCheckOfSSH(t *testing.T) {
	socket := path.Join(t.TempDir(), "agent.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	agent, err := sshprovider.NewSSHAgentProvider([]sshprovider.AgentConfig{{ID: "deploy", Paths: []string{socket}}})
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, testenv.SharedDaemon(t, testenv.Rootless))
	opt := options(t, testenv.Dir(t, "Dockerfile", "FROM busybox\nRUN --mount=type=ssh,id=deploy,required=true true\nRUN --mount=type=ssh,id=other,required=true true\n"))
	opt.Attachables = append(opt.Attachables, agent)
	got, err := Check(context.Background(), c, opt, noTests)
	if err != nil {
		t.Fatal(err)
	}
	if list, want := list(got.Missing), []string{"ssh other:3"}; !slices.Equal(list, want) {
		t.Errorf("missing = %q, want %q", list, want)
	}
}

// A granted entitlement is not missing.
func TestCheckOfEntitlements(t *testing.T) {
	d := testenv.StartDaemon(t, testenv.DaemonOptions{Kind: testenv.Root, Flags: []string{"--allow-insecure-entitlement", "network.host"}})
	c := dial(t, d)
	opt := options(t, testenv.Dir(t, "Dockerfile", "FROM busybox\nRUN --network=host --security=insecure true\n"))
	opt.Entitlements = []string{"network.host", "security.insecure"}
	got, err := Check(context.Background(), c, opt, noTests)
	if err != nil {
		t.Fatal(err)
	}
	if list, want := list(got.Missing), []string{"refused security.insecure"}; !slices.Equal(list, want) {
		t.Errorf("missing = %q, want %q", list, want)
	}
}

func TestCheckOfPlatforms(t *testing.T) {
	c := dial(t, testenv.SharedDaemon(t, testenv.Rootless))
	// s390x steps run nowhere here; copying needs no execution, and a stage for
	// the builder's own platform is executed there.
	dockerfile := "FROM --platform=$BUILDPLATFORM busybox AS build\nRUN true\nFROM scratch\nCOPY --from=build /bin /bin\n%s"
	for step, want := range map[string][]string{"": nil, "RUN true\n": {"platform linux/s390x:5"}} {
		opt := options(t, testenv.Dir(t, "Dockerfile", fmt.Sprintf(dockerfile, step)))
		opt.Platforms = []string{"linux/amd64", "linux/s390x"}
		got, err := Check(context.Background(), c, opt, noTests)
		if err != nil {
			t.Fatal(err)
		}
		if list := list(got.Missing); !slices.Equal(list, want) {
			t.Errorf("missing = %q, want %q", list, want)
		}
		if len(got.Platforms) != 2 || got.Executable(platforms.MustParse("linux/s390x")) || !got.Executable(got.Platforms[0]) {
			t.Errorf("platforms %v, of which %v can be executed", got.Platforms, got.Workers)
		}
	}
}

func TestCheckOfABrokenDockerfile(t *testing.T) {
	c := dial(t, testenv.SharedDaemon(t, testenv.Root))
	opt := options(t, testenv.Dir(t, "Dockerfile", "ARG BASE\nFROM $BASE\nRUN true\n"))
	got, err := Check(context.Background(), c, opt, noTests)
	if err != nil {
		t.Fatal(err)
	}
	sources := errdefs.Sources(got.Err)
	if got.Err == nil || len(sources) != 1 || sources[0].Ranges[0].Start.Line != 2 {
		t.Errorf("Err = %v at %v, want one at line 2", got.Err, sources)
	}
	opt.BuildArgs = map[string]string{"BASE": "busybox"}
	if got, err := Check(context.Background(), c, opt, noTests); err != nil || got.Err != nil || len(got.Missing) > 0 {
		t.Errorf("with a value: %v, %+v", err, got)
	}
}

func TestCheckReturnsTheErrorOfStages(t *testing.T) {
	c := dial(t, testenv.SharedDaemon(t, testenv.Root))
	none := errors.New("no such stage")
	opt := options(t, testenv.Dir(t, "Dockerfile", "FROM busybox\n"))
	_, err := Check(context.Background(), c, opt, func([]string) ([]string, error) { return nil, none })
	if !errors.Is(err, none) {
		t.Errorf("Check() = %v, want %v", err, none)
	}
}

// A check leaves nothing in the daemon's history.
func TestCheckIsNoBuild(t *testing.T) {
	c := dial(t, testenv.StartDaemon(t, testenv.DaemonOptions{Kind: testenv.Rootless}))
	opt := options(t, testenv.Dir(t, "Dockerfile", "FROM busybox\nRUN echo built >/built\n"))
	opt.Status = func(st *client.SolveStatus) {
		for _, v := range st.Vertexes {
			if strings.Contains(v.Name, "RUN") {
				t.Errorf("%s was built", v.Name)
			}
		}
	}
	if _, err := Check(context.Background(), c, opt, noTests); err != nil {
		t.Fatal(err)
	}
	usage, err := c.DiskUsage(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range usage {
		if strings.Contains(u.Description, "RUN") {
			t.Errorf("the daemon keeps %q", u.Description)
		}
	}
}

// A daemon that lacks what a step needs is found out by its capabilities.
func TestMissingCapability(t *testing.T) {
	c := dial(t, testenv.SharedDaemon(t, testenv.Root))
	opt := options(t, testenv.Dir(t, "Dockerfile", "FROM busybox\nRUN --mount=type=secret,id=x true\n"))
	_, err := Solve(context.Background(), c, opt, Phases{Try: func(ctx context.Context, tr *Trial) error {
		var old []*apicaps.PBCap
		for _, cap := range pb.Caps.All() {
			if cap.ID != string(pb.CapExecMountSecret) {
				old = append(old, cap)
			}
		}
		n := &needs{caps: pb.Caps.CapSet(old), workers: []ocispecs.Platform{platforms.DefaultSpec()}}
		if err := n.add(ctx, "", tr.Images[0]); err != nil {
			return err
		}
		if list, want := list(n.found), []string{"capability exec.mount.secret:2", "secret x:2?"}; !slices.Equal(list, want) {
			t.Errorf("missing = %q, want %q", list, want)
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
}
