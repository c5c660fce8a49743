package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	bkllb "github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/frontend/gateway/grpcclient"
	"github.com/moby/buildkit/solver/pb"
	_ "github.com/moby/buildkit/util/grpcutil/encoding/proto" // as the daemon speaks it
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/llb"
)

// frontendPath is where the images of frontend have this program.
const frontendPath = "/frontend"

// runFrontend ends the process with the frontend's work done if it is one, in the
// container of a frontend image.
func runFrontend() {
	if os.Args[0] != frontendPath {
		return
	}
	build := llb.Frontend
	if os.Args[1] == "recipe" {
		build = recipe
	}
	if err := grpcclient.RunFromEnvironment(context.Background(), build); err != nil {
		fmt.Fprintln(os.Stderr, "frontend:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// frontendImage is a frontend image: "dockerfile" is llb.Frontend, "recipe" is
// recipe, which has no subrequests and no named contexts.
func frontendImage(t testing.TB, name string) v1.Image {
	labels := map[string]string{}
	if name == "dockerfile" {
		labels["moby.buildkit.frontend.caps"] = "moby.buildkit.frontend.inputs,moby.buildkit.frontend.subrequests,moby.buildkit.frontend.contexts"
	}
	return testenv.ProgramImage(t, []string{frontendPath, name}, labels)
}

// cmdFrontend is "frontend NAME REFERENCE": it pushes the frontend image called
// NAME, and sets DIGEST to its digest.
func cmdFrontend(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: frontend NAME REFERENCE")
	}
	t := ts.Value(testingKey{}).(testing.TB)
	ts.Setenv("DIGEST", testenv.Push(t, args[1], frontendImage(t, args[0])).DigestStr())
}

// TestPrivateFrontend has frontend and base image in two registries that give
// nothing to strangers.
func TestPrivateFrontend(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		config := map[string]any{}
		var hosts []*testenv.Registry
		for range 2 {
			reg := testenv.StartRegistry(t, testenv.RegistryOptions{Auth: testenv.AuthToken})
			config[reg.Host] = map[string]string{"username": "captain", "password": "s3cret"}
			hosts = append(hosts, reg)
		}
		creds := remote.WithAuth(&authn.Basic{Username: "captain", Password: "s3cret"})
		front, base := hosts[0].Host+"/acme/recipe", hosts[1].Host+"/acme/base"
		testenv.Push(t, front, frontendImage(t, "recipe"), creds)
		testenv.Push(t, base, testenv.BusyboxImage(t), creds)

		dt, err := json.Marshal(map[string]any{"auths": config})
		if err != nil {
			t.Fatal(err)
		}
		docker := testenv.Dir(t, "config.json", string(dt))
		dir := testenv.Dir(t, "Dockerfile", "# syntax="+front+"\nimage "+base+"\nrun : "+docker+"\n")
		start(t, append(w.env(), "DOCKER_CONFIG="+docker, "SEATRIAL_BUILD_CONTEXT="), "test", "--allow-frontend", front, "--test", "true", dir).exits(0)
	})
}

// TestForbiddenFrontend asks builders whose configuration forbids what the command
// line allows.
func TestForbiddenFrontend(t *testing.T) {
	for kind, config := range map[testenv.Kind]string{
		testenv.Root:     "enabled = false",
		testenv.Rootless: `allowedRepositories = ["docker.io/docker/dockerfile"]`,
	} {
		t.Run(kind.String(), func(t *testing.T) {
			w := newWorld(t, testenv.StartDaemon(t, testenv.DaemonOptions{
				Kind: kind, ExtraConfig: "[frontend.\"gateway.v0\"]\n" + config,
			}))
			ref, front := w.registry.Host+"/acme/forbidden", w.registry.Host+"/acme/front"
			testenv.Push(t, front, frontendImage(t, "dockerfile"))
			c := start(t, w.env(), "run", "-t", ref, "--test", "true", "--allow-frontend", front,
				testenv.Dir(t, "Dockerfile", "# syntax="+front+"\n"+plainDockerfile))
			c.exits(3)
			c.says(">>> # syntax=", "running frontend image "+front, "the builder's configuration forbids this frontend image", "no tag moved")
			if got := resolve(t.Fatalf, ref); got != "none" {
				t.Errorf("the tag is %s, want none", got)
			}
		})
	}
}

// recipe is a frontend with a language of its own. A line is "image REFERENCE",
// "run COMMAND" or "stage NAME"; the lines before the first stage are the image,
// and every stage goes on from there.
func recipe(ctx context.Context, c gateway.Client) (*gateway.Result, error) {
	opts := c.BuildOpts().Opts
	source, err := readRecipe(ctx, c, opts["filename"])
	if err != nil {
		return nil, err
	}
	lines := bkllb.NewSourceMap(nil, opts["filename"], "recipe", source)
	st, image, found := bkllb.Scratch(), bkllb.Scratch(), opts["target"] == ""
	stage := ""
	for i, line := range strings.Split(string(source), "\n") {
		verb, rest, _ := strings.Cut(line, " ")
		if verb == "stage" {
			if stage == "" {
				image = st
			}
			stage = rest
			found = found || stage == opts["target"]
		}
		if stage != "" && stage != opts["target"] {
			continue
		}
		here := lines.Location([]*pb.Range{{Start: &pb.Position{Line: int32(i + 1)}, End: &pb.Position{Line: int32(i + 1)}}})
		switch verb {
		case "image":
			st = bkllb.Image(rest, here)
		case "run":
			st = st.Run(bkllb.Args([]string{"/bin/sh", "-c", rest}), here, bkllb.WithCustomName(line)).Root()
		case "stage":
			st = image
		}
	}
	if !found {
		return nil, fmt.Errorf("the recipe has no stage %q", opts["target"])
	}
	def, err := st.Marshal(ctx)
	if err != nil {
		return nil, err
	}
	res, err := c.Solve(ctx, gateway.SolveRequest{Definition: def.ToPB()})
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(recipeConfig())
	if err != nil {
		return nil, err
	}
	res.AddMeta(exptypes.ExporterImageConfigKey, config)
	return res, nil
}

func recipeConfig() dockerspec.DockerOCIImage {
	var image dockerspec.DockerOCIImage
	image.OS, image.Architecture = "linux", runtime.GOARCH
	image.RootFS.Type = "layers"
	image.Config.Env = []string{"PATH=/bin", "COOK=recipe"}
	image.Config.User, image.Config.WorkingDir = "app", "/tmp"
	image.Config.Shell = []string{"/bin/sh", "-euc"}
	return image
}

func readRecipe(ctx context.Context, c gateway.Client, name string) ([]byte, error) {
	def, err := bkllb.Local("dockerfile", bkllb.SessionID(c.BuildOpts().SessionID), bkllb.FollowPaths([]string{name})).Marshal(ctx)
	if err != nil {
		return nil, err
	}
	res, err := c.Solve(ctx, gateway.SolveRequest{Definition: def.ToPB()})
	if err != nil {
		return nil, err
	}
	ref, err := res.SingleRef()
	if err != nil {
		return nil, err
	}
	dt, err := ref.ReadFile(ctx, gateway.ReadRequest{Filename: name})
	return bytes.TrimSpace(dt), err
}
