package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// TestHelp has the help of every command, and of all of them, fit a terminal, and name
// every flag.
func TestHelp(t *testing.T) {
	all := newApp(Streams{})
	for _, cmd := range append(all.Commands, &cli.Command{}) {
		var out bytes.Buffer
		args := slices.DeleteFunc([]string{"seatrial", cmd.Name, "--help"}, func(arg string) bool { return arg == "" })
		if code := Main(t.Context(), args, Streams{Out: &out, Err: &out}); code != 0 {
			t.Errorf("seatrial %s --help: exit code = %d, want 0", cmd.Name, code)
		}
		if strings.Contains(out.String(), "\n\n\n") {
			t.Errorf("seatrial %s --help has two empty lines:\n%s", cmd.Name, out.String())
		}
		for _, line := range strings.Split(out.String(), "\n") {
			if n := len([]rune(line)); n > helpWidth {
				t.Errorf("seatrial %s --help has a line of %d characters: %s", cmd.Name, n, line)
			}
		}
		for _, f := range cmd.VisibleFlags() {
			if name := f.Names()[0]; name != "help" && !strings.Contains(out.String(), "--"+name) {
				t.Errorf("seatrial %s --help does not name --%s", cmd.Name, name)
			}
		}
	}
}
