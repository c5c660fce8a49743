package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/platforms"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/buildkit/frontend/subrequests/lint"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/registry"
	"github.com/seatrial/seatrial/testsuite"
)

// findingOf is an error that a run would end with.
func findingOf(rule string, err error) finding {
	f := finding{rule: rule, message: message(err), code: exitCode(err)}
	lines := hints(err)
	var push *pushError
	if errors.As(err, &push) {
		lines = pushHints(err) // of tags there is nothing to say
	}
	f.fix = strings.Join(lines, "\n")
	if sources := errdefs.Sources(err); len(sources) > 0 {
		f.source = sources[0]
	}
	return f
}

// registries asks every repository whether it takes a push: of the image, and of a
// cache, without which a run goes on.
func (k *checker) registries(ctx context.Context) {
	repos := map[name.Repository]bool{} // whether the image goes there
	for _, e := range k.plan.build.CacheExports {
		if ref, err := name.ParseReference(e.Attrs["ref"]); err == nil && e.Type == "registry" {
			repos[ref.Context()] = false
		}
	}
	for _, ref := range k.plan.refs {
		repos[ref.Context()] = true
	}
	var wg sync.WaitGroup
	for repo, forImage := range repos {
		wg.Go(func() {
			err := k.mayPush(ctx, repo)
			if err == nil {
				return
			}
			f := findingOf("push", &pushError{err})
			if !forImage {
				f.rule, f.code = "cache", 0
			}
			k.add(f)
		})
	}
	wg.Wait()
}

func (k *checker) mayPush(ctx context.Context, repo name.Repository) error {
	opt := k.plan.access.pushOptions()
	opt.Attempts = 2
	push, err := registry.NewPush([]name.Reference{repo.Tag(name.DefaultTag)}, opt)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, checkTimeout, fmt.Errorf("asking to push to %s: no answer in %s", repo, checkTimeout))
	defer cancel()
	if err = push.Check(ctx); err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// inspected turns what was found out about the build into findings.
func (k *checker) inspected(ins *llb.Inspection) {
	k.foreign(ins)
	for _, w := range ins.Lint.Warnings {
		k.add(finding{
			rule: w.RuleName, message: w.Detail, fix: lintFixes[w.RuleName], url: w.URL,
			source: lintSource(ins.Lint, w.Location),
		})
	}
	switch e := ins.Lint.Error; {
	case ins.Err != nil:
		k.add(findingOf("dockerfile", &buildError{err: ins.Err}))
	case e != nil && strings.HasPrefix(e.Message, "lint violation"):
		k.add(finding{rule: "dockerfile", message: e.Message, code: exitBuild, fix: "mend the warnings; or skip rules or leave out error=true in # check= or BUILDKIT_DOCKERFILE_CHECK"})
	case e != nil: // in a stage that nothing needs
		k.add(finding{rule: "dockerfile", message: e.Message, source: lintSource(ins.Lint, &e.Location)})
	}
	for _, m := range ins.Missing {
		if m.Kind != llb.MissingPlatform || m.Stage == "" {
			f := missing(m, ins.Workers)
			if m.Kind == llb.MissingImage && denied(m.Err) {
				f.fix = strings.Join(append([]string{f.fix}, k.plan.access.pulling.sources()...), "\n")
			}
			k.add(f)
		} else if k.plan.suite.Tested(m.Platform) {
			k.add(untestable(m.Stage, m.Name, m.Source, ins.Workers))
		}
	}
	k.commands(ins)
}

// foreign tells what was not looked at because a frontend image converts the
// Dockerfile.
func (k *checker) foreign(ins *llb.Inspection) {
	if ins.Frontend == "" {
		return
	}
	what := "base images and entitlements"
	if ins.Untold != nil {
		what = "base images, secrets, SSH agents and entitlements"
	}
	k.add(finding{rule: "syntax", message: what + " were not looked at: the frontend image " + ins.Frontend + " alone knows them, and when it builds",
		fix: "a run says what is missing when it comes to it"})
	if ins.Untold != nil {
		k.add(finding{rule: "syntax", message: "the frontend image has no outline of what it asks for: " + message(ins.Untold)})
	}
	if ins.Unlinted != nil {
		k.add(finding{rule: "syntax", message: "the Dockerfile was not linted: " + message(ins.Unlinted), fix: strings.Join(buildHints(&buildError{err: ins.Unlinted}), "\n")})
	}
}

func lintSource(found *lint.LintResults, at *pb.Location) *errdefs.Source {
	i := int(at.GetSourceIndex())
	if i < 0 || i >= len(found.Sources) || len(at.GetRanges()) == 0 {
		return nil
	}
	return &errdefs.Source{Info: found.Sources[i], Ranges: at.GetRanges()}
}

// commands finds platforms on which tests that are commands cannot run.
func (k *checker) commands(ins *llb.Inspection) {
	if k.plan.suite == nil {
		return
	}
	for _, t := range k.plan.suite.Tests {
		for _, p := range ins.Platforms {
			if t.Command != "" && k.plan.suite.Tested(p) && !ins.Executable(p) {
				k.add(untestable(t.Command, platforms.Format(p), nil, ins.Workers))
			}
		}
	}
}

// untestable is what a run says of a test on a platform that the builder has not.
func untestable(test, platform string, at *errdefs.Source, workers []ocispecs.Platform) finding {
	f := findingOf("platform", &testsuite.UnexecutableError{Test: test, Platform: platform, Have: platformNames(workers)})
	f.source = at
	return f
}

// missing says what is missing and where it can be had.
func missing(m llb.Missing, workers []ocispecs.Platform) finding {
	f := finding{rule: string(m.Kind), source: m.Source, code: exitBuild}
	if m.Optional {
		f.code = 0
	}
	switch m.Kind {
	case llb.MissingImage:
		f.message, f.fix = fmt.Sprintf("base image %s cannot be had: %s", m.Name, message(m.Err)), imageFix(m)
	case llb.MissingSecret:
		f.message = fmt.Sprintf("secret %q is not offered", m.Name)
		f.fix = fmt.Sprintf("--secret id=%s,src=FILE, or --secret id=%s,env=VARIABLE", m.Name, m.Name)
	case llb.MissingSSH:
		f.message = fmt.Sprintf("SSH agent %q is not offered", m.Name)
		f.fix = fmt.Sprintf("--ssh %s for the agent of SSH_AUTH_SOCK, or --ssh %s=KEYFILE", m.Name, m.Name)
	case llb.MissingEntitlement:
		f.message, f.fix = "the entitlement "+m.Name+" is needed and not given", "--allow "+m.Name
	case llb.RefusedEntitlement:
		f.rule = string(llb.MissingEntitlement)
		f.message = "the builder does not grant the entitlement " + m.Name
		f.fix = "start buildkitd with --allow-insecure-entitlement " + m.Name + ", or name a builder that has it with --addr"
	case llb.MissingCapability:
		f.message, f.fix = message(m.Err), "use a newer buildkitd: seatrial is made for "+moduleVersion("github.com/moby/buildkit")
	case llb.MissingPlatform:
		f.message = fmt.Sprintf("the builder does not execute %s, only %s", m.Name, strings.Join(platformNames(workers), ", "))
		f.fix = "install QEMU (binfmt) on the builder's machine, name a builder that has the platform with one more --addr, or do the work in a stage FROM --platform=$BUILDPLATFORM"
	}
	if m.Optional {
		f.message += "; the step goes on without it"
	}
	return f
}

func platformNames(list []ocispecs.Platform) []string {
	names := make([]string, len(list))
	for i, p := range list {
		names[i] = platforms.Format(p)
	}
	return names
}

// imageFix guesses why an image cannot be had.
func imageFix(m llb.Missing) string {
	host := m.Name
	if ref, err := name.ParseReference(m.Name); err == nil {
		host = ref.Context().RegistryStr()
	}
	switch {
	case mentions(m.Err, "no match for platform"):
		return "name an image that is there for the platform, or other platforms with --platform"
	case denied(m.Err):
		return fmt.Sprintf("docker login %s; or is the name wrong? Many registries answer so for what is not there", host)
	case mentions(m.Err, "not found"):
		return "is the name right? --build-context NAME=VALUE puts something else in its place"
	}
	return fmt.Sprintf("is %s the right registry, and can the builder reach it?", host)
}

// denied tells whether a registry wanted other credentials, as far as the builder's
// words tell.
func denied(err error) bool {
	return mentions(err, "401", "403", "authorization", "denied", "insufficient_scope")
}

func mentions(err error, parts ...string) bool {
	text := strings.ToLower(err.Error())
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(text, part) })
}
