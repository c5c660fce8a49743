//go:build !unix

package credentials

import "os/exec"

func atTerminal() bool { return false }

// setApart has no groups of processes to set anything apart in.
func setApart(*exec.Cmd) {}
