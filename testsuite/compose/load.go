package compose

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/compose-spec/compose-go/v2/interpolation"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v4"

	"github.com/seatrial/seatrial/testsuite"
)

// sut is the service that is the test.
const sut = "sut"

// Options are what a Compose file does not say.
type Options struct {
	// Env is where variables are looked up, after the file .env beside the
	// Compose file has added to it.
	Env map[string]string
	// Names are references of the image under test: a service that has one of
	// them for its image is of the built one.
	Names []string
	// ContextDir is the build context, if it is a directory. Default: none,
	// and then nothing can be mounted from it.
	ContextDir string
	// Dockerfile is the path of the Dockerfile. Default: Dockerfile in ContextDir.
	Dockerfile string
	// Target is the stage that is the image. Default: the last one.
	Target string
	// BuildArgs are those of the image.
	BuildArgs map[string]string
	// Given tells whether the caller has a value for an external secret. Default: it
	// is believed to have.
	Given func(id string) bool
}

// File is a Compose file as a test.
type File struct {
	// Test is the service sut, with what it depends on as its services.
	Test testsuite.Test
	// Builds are the images to be built beside the one under test; the test's
	// sources point at them.
	Builds []*testsuite.Build
	// Secrets are the values of the test's secret mounts.
	Secrets []Secret
	// Warnings are what is not as Compose would have it, in the file's order.
	Warnings []Finding
}

// Secret is where the value of a secret mount is. One of File and Env is set.
type Secret struct {
	ID   string // of the mount
	File string
	Env  string // a variable of Options.Env, or of the file .env
	// Value is the variable's.
	Value string
}

// Load reads a Compose file. A file that cannot be used, since it is malformed, has
// no sut, or asks for what a test cannot have, is an *Error.
func Load(ctx context.Context, file string, opt Options) (*File, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading a Compose file: %w", err)
	}
	d, err := parse(file, data)
	if err != nil {
		return nil, err
	}
	if err := d.upgrade(); err != nil {
		return nil, err
	}
	if opt, err = opt.complete(file); err != nil {
		return nil, err
	}
	// The first time it is only looked at, for compose-go's own complaints
	// tell neither place nor remedy.
	draft, err := d.load(ctx, opt, func(o *loader.Options) {
		o.SkipConsistencyCheck, o.SkipResolveEnvironment = true, true
	})
	if err != nil {
		return nil, err
	}
	if err := d.check(draft, profiles(opt, draft)); err != nil {
		return nil, err
	}
	project, err := d.load(ctx, opt, loader.WithProfiles(profiles(opt, draft)), loader.WithSelectedServices([]string{sut}))
	if err != nil {
		return nil, err
	}
	return newMapper(d, project, opt).file()
}

// profiles are those that COMPOSE_PROFILES names, and sut's own.
func profiles(opt Options, p *types.Project) []string {
	var out []string
	for _, name := range strings.Split(opt.Env["COMPOSE_PROFILES"], ",") {
		if name = strings.TrimSpace(name); name != "" {
			out = append(out, name)
		}
	}
	return append(out, p.AllServices()[sut].Profiles...)
}

func (d *document) load(ctx context.Context, opt Options, how ...func(*loader.Options)) (*types.Project, error) {
	data, err := yaml.Marshal(d.top)
	if err != nil {
		return nil, d.errorAt(d.top, "", "reading the file: %w", err)
	}
	abs, err := filepath.Abs(d.file)
	if err != nil {
		return nil, err
	}
	name := loader.NormalizeProjectName(filepath.Base(filepath.Dir(abs)))
	if name == "" {
		name = sut
	}
	details := types.ConfigDetails{
		WorkingDir:  filepath.Dir(abs),
		ConfigFiles: []types.ConfigFile{{Filename: abs, Content: data}},
		Environment: maps.Clone(opt.Env),
	}
	how = append(how, func(o *loader.Options) {
		o.SetProjectName(name, true)
		o.SkipResolveLabels = true
		o.Interpolate = &interpolation.Options{
			Substitute: func(s string, m template.Mapping) (string, error) {
				return template.SubstituteWithOptions(s, m, template.WithoutLogging)
			},
			LookupValue:     details.LookupEnv,
			TypeCastMapping: o.Interpolate.TypeCastMapping,
		}
	})
	project, err := read(ctx, details, how)
	if err != nil {
		return nil, d.place(err, abs)
	}
	return project, nil
}

// read has compose-go read the files. It takes some values for granted, like the target
// of a mount, and goes down if they are null.
func read(ctx context.Context, details types.ConfigDetails, how []func(*loader.Options)) (p *types.Project, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("a value is missing, or not of Compose's kind (%v)", r)
		}
	}()
	return loader.LoadWithContext(ctx, details, how...)
}
