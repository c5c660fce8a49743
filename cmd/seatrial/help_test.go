package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestHelp has the help of every command fit a terminal, and name every flag.
func TestHelp(t *testing.T) {
	for _, cmd := range newApp(Streams{}).Commands {
		var out bytes.Buffer
		if code := Main(t.Context(), []string{"seatrial", cmd.Name, "--help"}, Streams{Out: &out, Err: &out}); code != 0 {
			t.Errorf("seatrial %s --help: exit code = %d, want 0", cmd.Name, code)
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
