package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// completeArg is what the scripts put behind the words typed so far to be told how the
// last one may go on. The name is urfave/cli's.
const completeArg = "--generate-bash-completion"

// Nothing that is typed is evaluated: the words are passed on as they are.
const (
	bashCompletion = `_seatrial() {
	local words
	COMPREPLY=()
	words=$(seatrial "${COMP_WORDS[@]:1:COMP_CWORD}" ` + completeArg + ` 2>/dev/null) || return
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}")
}
complete -o bashdefault -o default -F _seatrial seatrial
`
	zshCompletion = `#compdef seatrial
_seatrial() {
	local -a found
	found=("${(@f)$(seatrial "${(@)words[2,CURRENT]}" ` + completeArg + ` 2>/dev/null)}")
	if [[ -n "${found[1]}" ]]; then
		compadd -- "${found[@]}"
	else
		_files
	fi
}
compdef _seatrial seatrial
`
)

func completionCommand(std Streams) *cli.Command {
	return &cli.Command{
		Name: "completion", Usage: "print a script that completes commands and flags", ArgsUsage: "bash|zsh|fish",
		Description: "Prints a script for a shell:\n\n   source <(seatrial completion bash)\n   source <(seatrial completion zsh)\n   seatrial completion fish | source",
		Action: func(c *cli.Context) error {
			script, err := completionScript(c)
			if err != nil {
				return err
			}
			_, err = io.WriteString(std.Out, script)
			return err
		},
	}
}

func completionScript(c *cli.Context) (string, error) {
	if c.NArg() != 1 {
		return "", usagef("seatrial completion bash, zsh or fish", "one shell is expected, not %d", c.NArg())
	}
	switch shell := c.Args().First(); shell {
	case "bash":
		return bashCompletion, nil
	case "zsh":
		return zshCompletion, nil
	case "fish":
		return c.App.ToFishCompletion()
	default:
		return "", usagef("", "there is no completion for %q, only for bash, zsh and fish", shell)
	}
}

// complete prints how the last of words, which may be empty, can go on: nothing if it is
// the value of a flag, or a path.
func complete(app *cli.App, words []string, w io.Writer) {
	if len(words) == 0 {
		words = []string{""}
	}
	last := words[len(words)-1]
	if len(words) == 1 {
		for _, cmd := range app.VisibleCommands() {
			fmt.Fprintln(w, cmd.Name)
		}
		return
	}
	cmd := app.Command(words[0])
	switch {
	case cmd == nil, len(words) > 2 && takesValue(cmd.Flags, words[len(words)-2]) && strings.HasPrefix(words[len(words)-2], "-"):
	case cmd.Name == "completion":
		fmt.Fprintln(w, "bash\nzsh\nfish")
	case strings.HasPrefix(last, "-") && !slices.Contains(words, "--"):
		for _, f := range cmd.VisibleFlags() {
			fmt.Fprintln(w, "--"+f.Names()[0])
		}
	}
}
