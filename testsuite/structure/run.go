package structure

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// Target is an image that is tested.
type Target interface {
	// Config is the image's configuration.
	Config() ocispecs.ImageConfig
	// Files are the image's.
	Files
	// Exec runs a command in the image, in a container of its own. An error
	// says that it did not run to its end.
	Exec(ctx context.Context, c Command) (Output, error)
}

// Command is a command that is run without the image's entrypoint.
type Command struct {
	// Setup is run before, each command in a container of its own with the
	// files that the one before left, and with SetupEnv. How they end does
	// not matter; that one is not there is an error.
	Setup    [][]string
	SetupEnv []string
	Args     []string
	// Env is the whole environment.
	Env []string
	// User is the user. Default: the image's.
	User string
}

// Output is what a command came to.
type Output struct {
	Stdout, Stderr []byte
	ExitCode       int
}

// Result is what became of a test.
type Result struct {
	// Name is as container-structure-test has it, "Command Test: x".
	Name string
	Pass bool
	// Errors say why it did not pass.
	Errors         []string
	Stdout, Stderr []byte
	Duration       time.Duration
}

func (r *Result) failf(format string, args ...any) {
	r.Pass = false
	r.Errors = append(r.Errors, fmt.Sprintf(format, args...))
}

// How many checks of files are under way at once, and how many containers.
const (
	fileJobs    = 16
	commandJobs = 4
)

// Run runs all tests side by side, to their ends, and returns what became of them:
// commands, contents, existence, licences, metadata. If ctx is done before, what was
// still to do has failed.
func Run(ctx context.Context, cfg *Config, target Target) []Result {
	r := &runner{cfg: cfg, target: target, image: target.Config(), tree: newTree(target)}
	results := make([]Result, cfg.count())
	var files, commands errgroup.Group
	files.SetLimit(fileJobs)
	commands.SetLimit(commandJobs)
	// Containers are what takes time; the files are looked at meanwhile.
	checks := r.checks()
	start := func(g *errgroup.Group, i int) {
		g.Go(func() error {
			began := time.Now()
			results[i] = Result{Name: checks[i].name, Pass: true}
			checks[i].run(ctx, &results[i])
			results[i].Duration = time.Since(began)
			return nil
		})
	}
	files.Go(func() error {
		for i := range cfg.Commands {
			start(&commands, i)
		}
		return commands.Wait()
	})
	for i := len(cfg.Commands); i < len(checks); i++ {
		start(&files, i)
	}
	_ = files.Wait() // no check returns an error
	return results
}

// runner is one call of Run.
type runner struct {
	cfg    *Config
	target Target
	image  ocispecs.ImageConfig
	tree   *tree
}

type check struct {
	name string
	run  func(context.Context, *Result)
}

func (r *runner) checks() []check {
	var out []check
	add := func(name string, run func(context.Context, *Result)) { out = append(out, check{name, run}) }
	for _, t := range r.cfg.Commands {
		add("Command Test: "+t.Name, func(ctx context.Context, res *Result) { r.command(ctx, t, res) })
	}
	for _, t := range r.cfg.Content {
		add("File Content Test: "+t.Name, func(ctx context.Context, res *Result) { r.content(ctx, t, res) })
	}
	for _, t := range r.cfg.Existence {
		add("File Existence Test: "+t.Name, func(ctx context.Context, res *Result) { r.existence(ctx, t, res) })
	}
	for _, t := range r.cfg.Licenses {
		add("License Test", func(ctx context.Context, res *Result) { r.license(ctx, t, res) })
	}
	if m := r.cfg.Metadata; m != nil {
		add("Metadata Test", func(_ context.Context, res *Result) { m.compare(r.image, res) })
	}
	return out
}

// global is the environment with the global variables, whose values may refer to the
// image's and not to one another. Schema 1.0.0 has them for setup only.
func (r *runner) global() []string {
	if r.cfg.SchemaVersion == "1.0.0" {
		return r.image.Env
	}
	return merge(r.image.Env, expand(r.cfg.GlobalEnv, r.image.Env))
}

// expand are variables with the values of others put in, "" for those that are not
// set.
func expand(vars []EnvVar, env []string) []string {
	out := make([]string, len(vars))
	for i, v := range vars {
		out[i] = v.Key + "=" + substitute(v.Value, env)
	}
	return out
}

func substitute(s string, env []string) string {
	return os.Expand(s, func(name string) string { return lookup(env, name) })
}

// lookup is the value of a variable, "" if it is not set.
func lookup(env []string, name string) string {
	for _, v := range slices.Backward(env) {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// merge is env with other variables added, or put in the place of those that it has.
func merge(env, more []string) []string {
	out := slices.Clone(env)
	for _, v := range more {
		name, _, _ := strings.Cut(v, "=")
		i := slices.IndexFunc(out, func(have string) bool { return strings.HasPrefix(have, name+"=") })
		if i < 0 {
			out = append(out, v)
		} else {
			out[i] = v
		}
	}
	return out
}
