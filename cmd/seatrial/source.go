package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/moby/buildkit/util/gitutil"
	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/testsuite"
)

// dockerfile reads a Dockerfile that is here and finds out what can be known
// without a builder: that it is there, that it may be converted by what it asks for,
// that it parses, that the stages exist, and that every context on this machine can
// be offered. A check finds out most of it in its own way.
func (p *plan) dockerfile(c *cli.Context) error {
	src, err := p.source(c)
	if err != nil {
		return err
	}
	p.build.Source = src
	if src != nil && p.mode != modeCheck {
		if err := p.look(src); err != nil {
			return err
		}
	}
	if err := p.build.Check(); err != nil {
		return usagef(pathHint(err), "%w", err)
	}
	return nil
}

func (p *plan) look(src *llb.Source) error {
	syntax, err := src.Syntax(p.build)
	if err != nil {
		return err
	}
	if syntax.Frontend != "" {
		return nil // which knows best what stages there are
	}
	have, err := src.Stages()
	if err != nil {
		return &buildError{err: err}
	}
	_, err = p.stages(p.suite, have)
	return err
}

// source is nil if context and Dockerfile are remote.
func (p *plan) source(c *cli.Context) (*llb.Source, error) {
	opt := p.build
	switch {
	case opt.Context == stdin:
		src, err := llb.ReadInput(awaited(c.Context, c.App.Reader, "the build context", c.App.ErrWriter), opt.Dockerfile)
		return src, inputError(c.Context, "the build context", err)
	case opt.Dockerfile == stdin:
		src, err := llb.ReadDockerfile(opt.Context, awaited(c.Context, c.App.Reader, "the Dockerfile", c.App.ErrWriter))
		return src, inputError(c.Context, "the Dockerfile", err)
	case llb.IsRemote(opt.Context):
		return nil, checkURL(opt.Context)
	}
	src, err := llb.ReadSource(opt.Context, opt.Dockerfile)
	if err != nil {
		return nil, sourceError(err, opt)
	}
	return src, nil
}

// checkURL refuses what the builder cannot parse either. Its error would show the part of
// a password before a slash as a port.
func checkURL(context string) error {
	if _, err := url.Parse(context); err != nil && strings.Contains(context, "://") {
		return usagef("in a user name or password, / is %2F, # is %23 and ? is %3F", "the build context %s is no URL", context)
	}
	return nil
}

func inputError(ctx context.Context, what string, err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	hint := ""
	switch {
	case errors.Is(err, llb.ErrTemporary), errors.Is(err, syscall.ENOSPC):
		hint = "the archive is kept in a temporary file: " + temporaryHint()
	case errors.Is(err, exec.ErrNotFound):
		hint = "install it, or compress with gzip or zstd"
	case errors.As(err, new(*fs.PathError)): // the context beside a Dockerfile that comes
		hint = pathHint(err)
	case errors.Is(err, fs.ErrNotExist):
		hint = "-f PATH names the Dockerfile in the archive"
	}
	return usagef(hint, "reading %s from standard input: %w", what, err)
}

// temporaryHint is for a temporary file that cannot be kept.
func temporaryHint() string {
	return fmt.Sprintf("point TMPDIR, which is %s, to a directory that is there, may be written to and has room", os.TempDir())
}

func sourceError(err error, opt llb.Options) error {
	hint := ""
	switch {
	case errors.Is(err, llb.ErrOutside):
		hint = "put the file itself there; a Dockerfile elsewhere is named with -f"
	case errors.As(err, new(*fs.PathError)): // the context: errors about the Dockerfile have lost that
		hint = pathHint(err)
	case !errors.Is(err, fs.ErrNotExist), filepath.IsAbs(opt.Dockerfile):
	case opt.Dockerfile != "":
		hint = fmt.Sprintf("-f %s is looked for from where seatrial runs, not from the context", opt.Dockerfile)
	default:
		hint = "the context is where seatrial looks for it; -f PATH names a Dockerfile elsewhere"
	}
	return usagef(hint, "%w", err)
}

// pathHint is for what is not there, unless it was said where it is from the root.
func pathHint(err error) string {
	var at *fs.PathError
	if !errors.Is(err, fs.ErrNotExist) || errors.As(err, &at) && filepath.IsAbs(at.Path) {
		return ""
	}
	return "paths are looked for from where seatrial runs"
}

// namedContexts takes NAME=VALUE, with NAME as a Dockerfile may write it.
func namedContexts(values []string) (map[string]string, error) {
	out := map[string]string{}
	for _, v := range values {
		k, val, _ := strings.Cut(v, "=")
		if k == "" || val == "" {
			return nil, usagef("", "--build-context %q is not of the form NAME=VALUE", v)
		}
		name, err := llb.ContextName(k)
		if err != nil {
			return nil, usagef("NAME is that of an image or stage in the Dockerfile", "--build-context: %w", err)
		}
		out[name] = val
	}
	return out, nil
}

// stageContexts checks the named contexts that are stages of the Dockerfile.
func (p *plan) stageContexts(have []string) error {
	for name, value := range p.build.NamedContexts {
		stage, ok := strings.CutPrefix(value, "target:")
		if ok && !slices.Contains(have, strings.ToLower(stage)) {
			return stageError(fmt.Errorf("--build-context %s=%s: %w", name, value, &testsuite.UnknownStageError{Stage: stage, Have: have}))
		}
	}
	return nil
}

// sshNoise is what BuildKit puts before what is wrong with --ssh: its own structures.
var sshNoise = regexp.MustCompile(`failed to convert agent config (for ID: "[^"]*"|\{.*?\}): `)

// sshFor is what --ssh says, or the agent for contexts that are fetched by SSH.
func (p *plan) sshFor(values []string, agent string) []string {
	bySSH := func(context string) bool {
		remote, err := gitutil.ParseURL(context)
		return err == nil && remote.Scheme == gitutil.SSHProtocol
	}
	contexts := append(slices.Collect(maps.Values(p.build.NamedContexts)), p.build.Context)
	if len(values) == 0 && agent != "" && slices.ContainsFunc(contexts, bySSH) {
		return []string{"default"}
	}
	return values
}
