package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/llb"
)

const shellName = "shell"

func shellCommand(std Streams) *cli.Command {
	return &cli.Command{
		Name: shellName, Usage: "open a shell in the built image, or in a stage", ArgsUsage: contextUsage + " [-- COMMAND [ARG…]]",
		Description: "Builds the image, or what --stage names, and opens a shell in it, where a test would\n" +
			"run: with the image's environment, working directory and user. What it changes is lost.\n" +
			"The exit code is that of the shell, or of the command that is run instead of it. Without\n" +
			"a terminal, it reads standard input and writes standard output.\n\n" +
			"   seatrial shell\n" +
			"   seatrial shell --stage build -- go env GOROOT",
		Flags: slices.Concat(shellBuildFlags(), []cli.Flag{
			stringFlag(catShell, "user", "be `USER[:GROUP]` (default: the image's)", "u"),
			stringFlag(catShell, "workdir", "begin in `DIR` (default: the image's)", "w"),
			listFlag(catShell, "env", "set `NAME=VALUE` in the environment; NAME alone takes the value it has here", "e"),
		}, shellRegistryFlags(), builderFlags(), shellOutputFlags()),
		Action: func(c *cli.Context) error { return executeShell(c, std) },
	}
}

const catShell = "Shell:"

// shellBuildFlags are those of a build, with the name for a stage that fits here.
func shellBuildFlags() []cli.Flag {
	flags := buildFlags()
	for i, f := range flags {
		if f.Names()[0] == "target" {
			flags[i] = stringFlag(catBuild, "target", "`STAGE` to open (default: the last, which is the image)", "stage")
		}
	}
	return flags
}

// shellRegistryFlags leave standard input to the shell.
func shellRegistryFlags() []cli.Flag {
	return slices.DeleteFunc(registryFlags(), func(f cli.Flag) bool { return f.Names()[0] == "registry-password-stdin" })
}

// shellOutputFlags are those that are about what is shown, not about results.
func shellOutputFlags() []cli.Flag {
	return slices.DeleteFunc(outputFlags(), func(f cli.Flag) bool {
		return !slices.Contains([]string{"progress", "quiet", "debug"}, f.Names()[0])
	})
}

// exitStatus is the exit code of something that the user ran, who has seen why.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

func executeShell(c *cli.Context, std Streams) error {
	proc, err := shellProcess(c)
	if err != nil {
		return err
	}
	p, err := newPlan(c, modeShell)
	if err != nil {
		return err
	}
	err = p.shell(c.Context, std, &console{in: c.App.Reader, out: std.Out, err: std.Err}, proc)
	err = errors.Join(err, p.build.Source.Close())
	if p.debug {
		explain(std.Err, err)
	}
	return err
}

// shells checks what opens one: the command, and --shell-on-failure.
func (p *plan) shells(c *cli.Context) error {
	onFailure := c.Bool(shellOnFailure)
	switch {
	case onFailure && len(p.addrs) > 1:
		return usagef("name one --addr", "--shell-on-failure: there is no shell on several builders")
	case onFailure:
		if err, ok := c.App.ErrWriter.(*os.File); ok && asTerminal(c.App.Reader, err) != nil {
			p.console = &console{in: c.App.Reader, out: err, err: err}
		} else if !p.quiet {
			fmt.Fprintln(c.App.ErrWriter, "seatrial: --shell-on-failure does nothing here: standard input and standard error are no terminal")
		}
	}
	if p.mode == modeShell {
		return p.oneShell()
	}
	return nil
}

// oneShell makes sure that there is one image, on one builder.
func (p *plan) oneShell() error {
	switch {
	case p.build.Context == stdin || p.build.Dockerfile == stdin:
		return usagef("give context and Dockerfile as files", "standard input is the shell's")
	case len(p.build.Platforms) > 1:
		return usagef("name one: --platform "+p.build.Platforms[0], "there is no shell for several platforms: %s", strings.Join(p.build.Platforms, ", "))
	case len(p.addrs) > 1:
		return usagef("name one --addr", "there is no shell on several builders")
	}
	return nil
}

func shellProcess(c *cli.Context) (llb.Process, error) {
	proc := llb.Process{Args: commandArgs(c), User: c.String("user"), Dir: c.String("workdir")}
	if proc.Dir != "" && !strings.HasPrefix(proc.Dir, "/") {
		return proc, usagef("it is a path in the image, as /app", "--workdir %q is not absolute", proc.Dir)
	}
	env, err := buildArgs(c.StringSlice("env")) // the same form
	if err != nil {
		return proc, usagef("", "--env: NAME=VALUE or NAME is expected, not %q", c.StringSlice("env"))
	}
	for k, v := range env {
		proc.Env = append(proc.Env, k+"="+v)
	}
	slices.Sort(proc.Env)
	return proc, nil
}

// commandArgs is what follows "--".
func commandArgs(c *cli.Context) []string {
	args := c.Args().Slice()
	if i := slices.Index(args, "--"); i >= 0 {
		return args[i+1:]
	}
	return nil
}

// contextArgs is what does not.
func contextArgs(c *cli.Context) []string {
	args := c.Args().Slice()
	if i := slices.Index(args, "--"); i >= 0 {
		return args[:i]
	}
	return args
}

// shell builds, and runs a process in what was built.
func (p *plan) shell(ctx context.Context, std Streams, k *console, proc llb.Process) error {
	builders, err := p.connect(ctx, std.Err)
	if err != nil {
		return err
	}
	builder := builders[0]
	defer builder.Close()
	display, err := startDisplay(std.Err, p.progress)
	if err != nil {
		return err
	}
	defer display.close()
	build := p.build
	build.Status = display.send
	var code int
	ph := p.phases(nil)
	ph.Try = func(ctx context.Context, t *llb.Trial) error {
		c, err := openStage(ctx, t)
		if err != nil {
			return err
		}
		defer c.Close(context.WithoutCancel(ctx))
		if len(proc.Args) == 0 {
			shell, err := findShell(ctx, c, t.Images[0].Shell()[0])
			if err != nil {
				return err
			}
			proc.Args = []string{shell}
		}
		if !c.Finds(ctx, proc) && ctx.Err() == nil {
			return usagef("", "there is no command %q in the image", proc.Args[0])
		}
		display.close()
		code, err = k.run(ctx, c, proc)
		return err
	}
	res, err := llb.Solve(ctx, builder.Client, build, ph)
	if err = p.classify(err, builder, res.Record); err == nil && code != 0 {
		return exitStatus(code)
	}
	return err
}
