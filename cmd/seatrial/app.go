package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/moby/buildkit/util/suggest"
	"github.com/urfave/cli/v2"
)

// Streams are where a command writes: its result, and everything else.
type Streams struct {
	Out io.Writer
	Err io.Writer
}

// Main runs the command line args (args[0] is the program's name) and returns
// the exit code. It does not touch the process, so that tests can call it.
func Main(ctx context.Context, args []string, std Streams) int {
	app := newApp(std)
	app.Metadata = map[string]any{argsKey: args}
	unsetEmpty(app)
	if asksHelp(args) {
		for _, cmd := range app.Commands {
			cmd.CustomHelpTemplate = help(cmd)
		}
	}
	if n := len(args) - 1; n > 0 && args[n] == completeArg {
		complete(app, args[1:n], std.Out)
		return 0
	}
	err := app.RunContext(ctx, intersperse(app, args))
	return report(ctx, err, std.Err)
}

func newApp(std Streams) *cli.App {
	app := &cli.App{
		Name:      "seatrial",
		Usage:     "build a container image, test it, and only then push it",
		UsageText: "seatrial COMMAND [flags] [CONTEXT]",
		Description: "A tag that seatrial moved points at an image whose tests passed on that\n" +
			"image; until they all have, no tag moves. It needs no Docker, only BuildKit:\n" +
			"a buildkitd that is there, or a private one that it starts.",
		Version:                version,
		HideVersion:            true,
		Writer:                 std.Out,
		ErrWriter:              std.Err,
		UseShortOptionHandling: false,
		// A comma is part of many values: --build-arg LIST=a,b.
		DisableSliceFlagSeparator: true,
		// The exit code is decided in one place, and os.Exit called in one.
		ExitErrHandler: func(*cli.Context, error) {},
		OnUsageError:   onUsageError,
		Commands: []*cli.Command{
			runCommand(std), buildCommand(std), testCommand(std), pushCommand(std), shellCommand(std), checkCommand(std), verifyCommand(std),
			configCommand(std), initCommand(std), completionCommand(std), versionCommand(std),
		},
		Action: func(c *cli.Context) error {
			if name := c.Args().First(); name != "" {
				return usagef(nearestCommand(name, c.App.Commands), "unknown command %q", name)
			}
			return cli.ShowAppHelp(c)
		},
	}
	for _, cmd := range app.Commands {
		cmd.OnUsageError = onUsageError
		cmd.Flags = quick(cmd.Flags)
	}
	return app
}

// unsetEmpty takes variables that are set to nothing for unset: pipelines' templates
// do that. Whom verify has to believe is not left to that: see who.
func unsetEmpty(app *cli.App) {
	var kept []string
	for _, f := range signerFlags() {
		kept = append(kept, env(f.Names()[0])...)
	}
	for _, cmd := range app.Commands {
		for _, f := range cmd.Flags {
			doc, ok := f.(cli.DocGenerationFlag)
			if !ok {
				continue
			}
			for _, name := range doc.GetEnvVars() {
				if os.Getenv(name) == "" && !slices.Contains(kept, name) {
					_ = os.Unsetenv(name) // fails for names that cannot be set only
				}
			}
		}
	}
}

func onUsageError(c *cli.Context, err error, _ bool) error {
	name := c.App.Name
	if c.Command != nil && c.Command.Name != "" && c.Command.Name != name {
		name += " " + c.Command.Name
	}
	hint := fmt.Sprintf("see %s --help", name)
	if flag, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); ok && c.Command != nil {
		if other := havingFlag(flag, c.App.Commands); other != "" {
			hint = other
		} else if match, ok := suggest.Search(flag, flagNames(c.Command.Flags), true); ok && len(flag) > 1 {
			hint = fmt.Sprintf("did you mean --%s? %s", match, hint)
		}
		err = fmt.Errorf("unknown flag %s", dashed(flag))
	} else if c.Command != nil {
		if bad := badValue(err, c.Command.Flags); bad != nil {
			err = bad
		}
	}
	return &usageError{err: err, hint: hint}
}

// havingFlag tells of the first command that has a flag of that name, or is called so, as
// in --version; "" if none is.
func havingFlag(name string, commands []*cli.Command) string {
	for _, cmd := range commands {
		switch {
		case cmd.Name == name:
			return "did you mean seatrial " + name + "?"
		case slices.Contains(flagNames(cmd.Flags), name):
			return "seatrial " + cmd.Name + " has it"
		}
	}
	return ""
}

func nearestCommand(name string, commands []*cli.Command) string {
	var known []string
	for _, cmd := range commands {
		known = append(known, cmd.Name)
	}
	if match, ok := suggest.Search(name, known, true); ok {
		return fmt.Sprintf("did you mean %s?", match)
	}
	return "see seatrial --help"
}

func flagNames(flags []cli.Flag) []string {
	var out []string
	for _, f := range flags {
		out = append(out, f.Names()[0]) // the others are letters
	}
	return out
}
