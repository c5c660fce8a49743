package main

import (
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"
	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/testsuite"
	"github.com/seatrial/seatrial/testsuite/compose"
	"github.com/seatrial/seatrial/testsuite/structure"
)

// testFiles reads the files that are tests: those that were declared, or, if no test is
// declared at all, those beside the Dockerfile. The names of the image must be known.
func (p *plan) testFiles(c *cli.Context) error {
	if p.suite == nil {
		return nil
	}
	if len(p.suite.Tests) == 0 {
		found, err := p.findTestFiles()
		if err != nil {
			return err
		}
		for _, file := range found {
			p.declare(testsuite.Test{}, declared{from: origin{Kind: "detection"}, file: file})
		}
		p.found = len(found) > 0
	}
	if !slices.ContainsFunc(p.declared, func(d declared) bool { return d.file != "" }) {
		return nil
	}
	opt := p.composeOptions(c)
	tests, from := p.suite.Tests, p.declared
	p.suite.Tests, p.declared = nil, nil
	for i, t := range tests {
		if from[i].file == "" {
			p.declare(t, from[i])
			continue
		}
		err := p.testFile(c, t, from[i], opt)
		if err != nil && p.mode != modeCheck {
			return err
		}
		if err != nil { // what else there is to find is not kept back
			p.warned = append(p.warned, findingOf("tests", err))
			t.Name = cmp.Or(t.Name, from[i].file)
			p.declare(t, from[i])
		}
	}
	p.warnOfHooks()
	if err := p.suite.Validate(); err != nil {
		return usagef("", "%w", err)
	}
	return nil
}

// testFile adds the tests of a file, told by its content, with what was declared of them.
func (p *plan) testFile(c *cli.Context, t testsuite.Test, from declared, opt compose.Options) error {
	data, err := os.ReadFile(from.file)
	switch {
	case err != nil && from.pos.Line > 0:
		return fileError(p.project.file.Error(from.pos, "paths are looked for from where seatrial.yaml lies", err.Error()))
	case errors.Is(err, fs.ErrNotExist): // of which kind it would be is not known
		return usagef(pathHint(err), "--test-file: %w", err)
	case err == nil && structure.Detect(data):
		err = p.structureFile(from.file, data)
	default:
		err = p.composeFile(c, from.file, opt) // which says what is wrong with any other
	}
	if err != nil {
		return err
	}
	for i := len(p.declared); i < len(p.suite.Tests); i++ {
		own := &p.suite.Tests[i]
		own.Name, own.Timeout, own.Retries = cmp.Or(t.Name, own.Name), cmp.Or(t.Timeout, own.Timeout), cmp.Or(t.Retries, own.Retries)
		own.Reports = append(own.Reports, t.Reports...)
		p.declared = append(p.declared, from)
	}
	return nil
}

func (p *plan) structureFile(file string, data []byte) error {
	cfg, err := structure.Parse(file, data)
	if err == nil {
		err = cfg.ResolveEnv(os.Getenv, os.ReadFile)
	}
	if err != nil {
		return structureError(err, data)
	}
	p.suite.Tests = append(p.suite.Tests, testsuite.Test{Structure: cfg})
	return nil
}

// structureError shows the first line of the file that is wrong.
func structureError(err error, data []byte) error {
	var e *structure.Error
	if errors.As(err, &e) && e.Line > 0 {
		err = errdefs.WithSource(err, sourceLine(e.File, data, e.Line))
	}
	return usagef("", "%w", err)
}

func (p *plan) composeFile(c *cli.Context, file string, opt compose.Options) error {
	f, err := compose.Load(c.Context, file, opt)
	if err != nil {
		return composeError(err)
	}
	for _, w := range f.Warnings {
		p.warned = append(p.warned, finding{message: w.Msg, fix: w.Hint, source: composeSource(w)})
	}
	if err := p.composeSecrets(file, f.Secrets); err != nil {
		return err
	}
	p.suite.Tests = append(p.suite.Tests, f.Test)
	return nil
}

// composeError shows the lines of a Compose file.
func composeError(err error) error {
	var e *compose.Error
	if !errors.As(err, &e) {
		return usagef(pathHint(err), "--test-file: %w", err)
	}
	if src := composeSource(e.Finding); src != nil {
		err = errdefs.WithSource(err, src)
	}
	return usagef(strings.ReplaceAll(e.Hint, "\n", "\n  "), "%w", err)
}

// composeSource is the line of a Compose file, nil if none is to blame.
func composeSource(f compose.Finding) *errdefs.Source {
	data, err := os.ReadFile(f.File)
	if err != nil || f.Line == 0 {
		return nil
	}
	return sourceLine(f.File, data, f.Line)
}

func sourceLine(file string, data []byte, line int) *errdefs.Source {
	at := &pb.Position{Line: int32(line)} //nolint:gosec // a file that was parsed has fewer lines
	return &errdefs.Source{Info: &pb.SourceInfo{Filename: file, Data: data}, Ranges: []*pb.Range{{Start: at, End: at}}}
}

// dockerfileDir is where the Dockerfile is, "" if that is no directory of this machine.
func (p *plan) dockerfileDir() string {
	dir := p.contextDir()
	if p.build.Dockerfile != "" && p.build.Dockerfile != stdin && !llb.IsRemote(p.build.Dockerfile) {
		dir = filepath.Dir(p.build.Dockerfile)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return ""
	}
	return dir
}

// contextDir is the build context, "" if it is no directory of this machine.
func (p *plan) contextDir() string {
	dir := p.build.Context
	if info, err := os.Stat(dir); dir == stdin || llb.IsRemote(dir) || err != nil || !info.IsDir() {
		return ""
	}
	return dir
}

func (p *plan) findTestFiles() ([]string, error) {
	dir := p.dockerfileDir()
	if dir == "" || p.contextDir() == "" {
		return nil, nil
	}
	return compose.Find(dir)
}

func (p *plan) composeOptions(c *cli.Context) compose.Options {
	opt := compose.Options{ContextDir: p.contextDir(), Target: p.build.Target, BuildArgs: p.build.BuildArgs, Given: p.secrets.has}
	hub := gitHub(c.Context, opt.ContextDir, os.LookupEnv)
	if p.build.Dockerfile != stdin && !llb.IsRemote(p.build.Dockerfile) {
		opt.Dockerfile = p.build.Dockerfile
	}
	hub.Dockerfile = "Dockerfile"
	if rel, err := filepath.Rel(opt.ContextDir, opt.Dockerfile); err == nil && opt.Dockerfile != "" {
		hub.Dockerfile = rel
	}
	for _, ref := range p.refs {
		opt.Names = append(opt.Names, ref.Name())
		if tag, ok := ref.(name.Tag); ok && hub.Name == "" {
			hub.Name = tag.Name()
		}
	}
	opt.Env = compose.HubEnv(hub)
	maps.Copy(opt.Env, environ(os.Environ()))
	return opt
}

// environ is a list of NAME=VALUE.
func environ(list []string) map[string]string {
	out := map[string]string{}
	for _, e := range list {
		if k, v, ok := strings.Cut(e, "="); ok && k != "" {
			out[k] = v
		}
	}
	return out
}

// hasTestStage tells whether a stage is a test by its name, and not the image.
func hasTestStage(have []string, target string) bool {
	i := slices.IndexFunc(have, func(s string) bool { return strings.EqualFold(s, testsuite.DetectedStage) })
	if i < 0 || target == "" {
		return i >= 0 && i < len(have)-1
	}
	return !strings.EqualFold(target, testsuite.DetectedStage)
}

// warnOfHooks is for those who come from Docker Hub.
func (p *plan) warnOfHooks() {
	if text := compose.HooksWarning(compose.Hooks(p.dockerfileDir())); text != "" {
		p.warned = append(p.warned, finding{message: text})
	}
}
