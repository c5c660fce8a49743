package llb

import "testing"

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"failed to solve: failed to run Build function: no stage":                                                                                       "no stage",
		"rpc error: code = Unknown desc = mkdir blobs: not a directory":                                                                                 "mkdir blobs: not a directory",
		"tar: ResourceExhausted: rpc error: code = ResourceExhausted desc = write x: no space left":                                                     "tar: write x: no space left",
		"copying: rpc error: code = Unavailable desc = rpc error: code = Aborted desc = closing":                                                        "copying: closing",
		"copying /src/Makefile: rpc error: code = Unknown desc = no such file":                                                                          "copying /src/Makefile: no such file",
		"rpc error: code = Code(99) desc = Get \"https://u:p@host/x\": EOF":                                                                             "Get \"https://xxxxx@host/x\": EOF",
		`failed to call info: Unavailable: connection error: desc = "transport: Error while dialing: dial unix /x: connect: no such file or directory"`: "dial unix /x: connect: no such file or directory",
		`rpc error: code = Unavailable desc = connection error: desc = "error reading server preface: \"x\"" (again)`:                                   `error reading server preface: "x" (again)`,
	} {
		if got := Plain(in); got != want {
			t.Errorf("Plain(%q) = %q, want %q", in, got, want)
		}
	}
}
