package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// intersperse puts the flags of a command line before its arguments. urfave/cli
// stops looking for flags at the first argument, but people type
// "docker build . -t app". For a shell, what follows "--" is a command, and "--" stays.
func intersperse(app *cli.App, args []string) []string {
	for i := 1; i < len(args); i++ {
		if cmd := app.Command(args[i]); cmd != nil && !strings.HasPrefix(args[i], "-") {
			own, command := args[i+1:], []string(nil)
			if at := slices.Index(own, "--"); at >= 0 && cmd.Name == shellName {
				own, command = own[:at], own[at:]
			}
			flags, rest := split(cmd.Flags, own)
			if len(command) > 0 && len(rest) == 0 {
				rest = []string{"--"}
			}
			return slices.Concat(args[:i+1], flags, rest, command)
		}
	}
	return args
}

// split separates flags, with their values, from arguments. What follows "--"
// is an argument.
func split(known []cli.Flag, args []string) (flags, rest []string) {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			rest = append(rest, args[i+1:]...)
			i = len(args)
		case len(arg) < 2 || arg[0] != '-':
			rest = append(rest, arg)
		default:
			flags = append(flags, arg)
			if takesValue(known, arg) && i+1 < len(args) {
				i++
				flags = append(flags, args[i])
			}
		}
	}
	// urfave/cli would take an argument such as "-" for a flag without this.
	if len(rest) > 0 {
		rest = append([]string{"--"}, rest...)
	}
	return flags, rest
}

// takesValue tells whether the argument after arg belongs to it.
func takesValue(known []cli.Flag, arg string) bool {
	if strings.Contains(arg, "=") {
		return false
	}
	name := strings.TrimLeft(arg, "-")
	for _, f := range known {
		if !slices.Contains(f.Names(), name) {
			continue
		}
		doc, ok := f.(cli.DocGenerationFlag)
		return ok && doc.TakesValue()
	}
	return false
}
