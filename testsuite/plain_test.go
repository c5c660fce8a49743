package testsuite_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/testsuite"
	"github.com/seatrial/seatrial/testsuite/helper/protocol"
)

// What the daemon says of a command, it says of the helper that has started it.
func TestPlainHasNoHelper(t *testing.T) {
	asDaemon := func(args []string) string { // solver/llbsolver/ops/exec.go
		return fmt.Sprintf("process %q did not complete successfully: exit code: 1", strings.Join(args, " "))
	}
	for _, argv := range [][]string{
		{"/bin/sh", "-c", `test "$A" = {} && curl 'http://host/?a=b'`},
		{"/bin/true"},
	} {
		args, err := protocol.Args(protocol.ModeRun, protocol.Run{Out: protocol.OutDir, User: `a" b`, Key: "{}"}, argv...)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := testsuite.Plain("failed to solve: "+asDaemon(args)), asDaemon(argv); got != strings.ReplaceAll(want, "a=b", "xxxxx") {
			t.Errorf("Plain(%s) = %s, want %s", asDaemon(args), got, want)
		}
	}
	// What was taken for a secret may have been the end of a quotation.
	args, err := protocol.Args(protocol.ModeRun, protocol.Run{Out: protocol.OutDir}, "curl", `"http://host/?a=b"`)
	if err != nil {
		t.Fatal(err)
	}
	if got := testsuite.Plain(llb.Plain(asDaemon(args))); !strings.HasPrefix(got, `process "curl \"http://host/?xxxxx"`) {
		t.Errorf("Plain(llb.Plain(%s)) = %s, want no helper", asDaemon(args), got)
	}
	for _, said := range []string{asDaemon([]string{"/bin/sh", "-c", "exit 1"}), `process "` + protocol.Init, `process "` + protocol.Init + ` run {"`} {
		if got := testsuite.Plain(said); got != said {
			t.Errorf("Plain(%s) = %s, want it as it is", said, got)
		}
	}
}
