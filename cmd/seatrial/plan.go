package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/buildkit/cmd/buildctl/build"
	"github.com/moby/buildkit/session/sshforward/sshprovider"
	"github.com/moby/buildkit/util/suggest"
	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/cmd/internal/buildkitd"
	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/testsuite"
)

// mode is how far a command goes.
type mode int

const (
	modeBuild mode = iota
	modeTest
	modeRun
	modeCheck
	modePush
	modeShell
)

// plan is a command line that was understood and checked, before anything is
// dialled.
type plan struct {
	mode     mode
	project  *project
	build    llb.Options
	suite    *testsuite.Suite // nil: nothing is tested
	refs     []name.Reference // the image's names; pushed to if outputs.push
	tagged   bool             // they come from -t
	outputs  *outputSet
	addrs    []string // of builders, one at least
	builder  buildkitd.Options
	progress string
	quiet    bool
	debug    bool
	// verifyPush has registries asked for every blob before tags move.
	verifyPush bool
	// indexWanted tells that something is asked of the image's index.
	indexWanted bool
	secrets     *secretStore // nil: none
	call        *call        // what is asked instead of building; nil: nothing
	saved       *savedSource // what is pushed instead of building; nil: nothing
	dryRun      bool         // nothing is moved
	console     *console     // for a shell where something fails; nil: none
	access      *access
	declared    []declared // where the suite's tests come from, one by one
	found       bool       // the suite's tests are files that were found, not named
	warned      []finding
	attestTests bool    // the result of the tests goes into the image's index
	signer      *signer // of the result; nil: it is not signed

	resultFile, metadataFile, iidFile, junitFile string
}

func newPlan(c *cli.Context, m mode) (*plan, error) {
	if len(contextArgs(c)) > 1 {
		return nil, usagef("put the flags' values right behind the flags, and quote what has spaces",
			"one CONTEXT is expected, not %d: %s", len(contextArgs(c)), strings.Join(contextArgs(c), " "))
	}
	pr, err := loadProject(c)
	if err != nil {
		return nil, err
	}
	p := &plan{
		mode:    m,
		project: pr,
		addrs:   c.StringSlice("addr"),
		builder: buildkitd.Options{
			Insecure: c.Bool("insecure-builder"),
			TLS: buildkitd.TLS{
				Dir: c.String("tlsdir"), CACert: c.String("tlscacert"), Cert: c.String("tlscert"),
				Key: c.String("tlskey"), ServerName: c.String("tlsservername"),
			},
		},
		progress: c.String("progress"), quiet: c.Bool("quiet"), debug: c.Bool("debug"),
		verifyPush: c.Bool("verify-push"),
		resultFile: c.String("result-file"), metadataFile: c.String("metadata-file"), iidFile: c.String("iidfile"), junitFile: c.String("junit"),
	}
	if len(p.addrs) == 0 {
		p.addrs = []string{buildkitd.Auto}
	}
	for _, step := range []func(*cli.Context) error{p.oldFlags, p.output, p.files, p.calls, p.buildOptions, p.shells, p.runOptions, p.resources, p.policy, p.attestations, p.testResults, p.exportOptions, p.exports, p.caches, p.inputs, p.tests, p.signing, p.names, p.registries, p.testFiles, p.offered, p.dockerfile, p.dry, p.redaction} {
		if err := step(c); err != nil {
			return nil, pr.blame(err)
		}
	}
	return p, nil
}

func (p *plan) output(*cli.Context) error {
	if p.mode == modeCheck {
		return nil // it shows no progress
	}
	switch p.progress {
	case "auto", "tty", "plain", "rawjson", "quiet":
	case "none": // buildx's other name
		p.progress = "quiet"
	default:
		return usagef("", "--progress %q is not one of auto, tty, plain, rawjson, quiet", p.progress)
	}
	if p.quiet {
		p.progress = "quiet"
	}
	return nil
}

func (p *plan) buildOptions(c *cli.Context) error {
	p.build = llb.Options{
		Context:    ".",
		Dockerfile: c.String("file"),
		Target:     c.String("target"),
		NoCache:    c.Bool("no-cache"),
		Pull:       c.Bool("pull"),
	}
	if args := contextArgs(c); len(args) == 1 {
		p.build.Context = args[0]
	}
	if p.build.Context == stdin && p.build.Dockerfile == stdin {
		return usagef("give one of them as a file", "context and Dockerfile cannot both be on standard input")
	}
	var err error
	if p.build.BuildArgs, err = buildArgs(c.StringSlice("build-arg")); err != nil {
		return err
	}
	if p.build.Labels, err = pairs("label", c.StringSlice("label")); err != nil {
		return err
	}
	if p.build.NamedContexts, err = namedContexts(c.StringSlice("build-context")); err != nil {
		return err
	}
	p.build.Platforms, err = platformList("platform", c.StringSlice("platform"))
	return err
}

// buildArgs takes NAME=VALUE, and NAME for the environment's value; a NAME that
// is not in the environment is left out, as docker build does.
func buildArgs(values []string) (map[string]string, error) {
	out := map[string]string{}
	for _, v := range values {
		k, val, ok := strings.Cut(v, "=")
		if k == "" {
			return nil, usagef("", "--build-arg %q has no name: NAME=VALUE or NAME is expected", v)
		}
		if !ok {
			if val, ok = os.LookupEnv(k); !ok {
				continue
			}
		}
		out[k] = val
	}
	return out, nil
}

func pairs(flag string, values []string) (map[string]string, error) {
	out := map[string]string{}
	for _, v := range values {
		k, val, _ := strings.Cut(v, "=")
		if k == "" {
			return nil, usagef("", "--%s %q is not of the form NAME=VALUE", flag, v)
		}
		out[k] = val
	}
	return out, nil
}

func platformList(flag string, values []string) ([]string, error) {
	var out []string
	for _, v := range values {
		for _, s := range strings.Split(v, ",") {
			p, err := platforms.Parse(strings.TrimSpace(s))
			if strings.TrimSpace(s) == "" {
				err = errors.New("it names none")
			}
			if err != nil {
				return nil, usagef("a platform looks like linux/amd64 or linux/arm/v7", "--%s %q: %w", flag, s, err)
			}
			out = append(out, platforms.FormatAll(platforms.Normalize(p)))
		}
	}
	return out, nil
}

// inputs opens what RUN --mount may ask for.
func (p *plan) inputs(c *cli.Context) error {
	if v := c.StringSlice("secret"); len(v) > 0 {
		store, err := newSecretStore(v)
		var usage *usageError
		if errors.As(err, &usage) {
			return err
		}
		if err != nil {
			hint := "--secret id=ID,src=FILE or id=ID,env=VARIABLE"
			if errors.Is(err, fs.ErrNotExist) {
				hint = pathHint(err)
			}
			return usagef(hint, "--secret: %w", err)
		}
		p.build.Attachables = append(p.build.Attachables, store)
		p.secrets = store
	}
	if v := p.sshFor(c.StringSlice("ssh"), os.Getenv("SSH_AUTH_SOCK")); len(v) > 0 {
		configs, err := build.ParseSSH(v)
		if err != nil {
			return usagef("", "--ssh: %w", err)
		}
		a, err := sshprovider.NewSSHAgentProvider(configs)
		if err != nil {
			return usagef("start an agent (SSH_AUTH_SOCK), or name a key: --ssh default=FILE", "--ssh: %s", sshNoise.ReplaceAllString(err.Error(), ""))
		}
		p.build.Attachables = append(p.build.Attachables, a)
	}
	return nil
}

func (p *plan) testPlatforms(values []string) error {
	list, err := platformList("test-platform", values)
	if err != nil {
		return err
	}
	for _, v := range list {
		if len(p.build.Platforms) > 0 && !slices.Contains(p.build.Platforms, v) {
			return usagef("", "--test-platform %s: the image is built for %s", v, strings.Join(p.build.Platforms, ", "))
		}
		p.suite.Platforms = append(p.suite.Platforms, platforms.MustParse(v))
	}
	return nil
}

// stages checks what the command line says of stages, completes the suite, which may
// be nil, and names the stages that it needs.
func (p *plan) stages(suite *testsuite.Suite, have []string) ([]string, error) {
	if len(have) > 0 {
		if err := p.stageContexts(have); err != nil {
			return nil, p.project.blame(err)
		}
		if err := p.noCacheStages(have); err != nil {
			return nil, p.project.blame(err)
		}
	}
	if suite == nil {
		_, err := (&testsuite.Suite{Target: p.build.Target, Tests: []testsuite.Test{{Command: "true"}}}).Stages(have)
		return nil, p.project.blame(p.stageError(err))
	}
	if stage := (testsuite.Test{Stage: testsuite.DetectedStage}); p.found && hasTestStage(have, p.build.Target) && suite.Tests[0].Stage != stage.Stage {
		suite.Tests = slices.Insert(suite.Tests, 0, stage)
	}
	want, err := suite.Stages(have)
	return want, p.project.blame(p.stageError(err))
}

// stageError has a hint at what a test is, which some commands do without.
func (p *plan) stageError(err error) error {
	if !errors.Is(err, testsuite.ErrNoTests) {
		return stageError(err)
	}
	hint := "add a stage called test to the Dockerfile, or tests to seatrial.yaml, or say --test 'COMMAND' to run one in the image"
	if p.mode != modeTest {
		hint += ", or --untested to push without"
	}
	return usagef(hint, "%w: nothing says that this image works", err)
}

func stageError(err error) error {
	var unknown *testsuite.UnknownStageError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, testsuite.ErrTargetIsTest):
		return usagef("say which stage is the image: --target STAGE", "%w", err)
	case errors.As(err, &unknown):
		hint := ""
		if match, ok := suggest.Search(unknown.Stage, unknown.Have, false); ok {
			hint = fmt.Sprintf("did you mean %q?", match)
		}
		return usagef(hint, "%w", err)
	default:
		return err
	}
}
