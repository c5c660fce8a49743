//go:build unix

package credentials

import (
	"os"
	"os/exec"
	"syscall"
)

// atTerminal tells whether there is a human whom a helper may ask.
func atTerminal() bool {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	_ = tty.Close()
	return true
}

// setApart gives a process a group of its own, and ends all of it with the process's
// context: helpers are scripts often, and what those have started would go on.
func setApart(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
