// Command init is seatrial's helper inside a container: the first process of a
// test or of a service, and what asks a service whether it is ready. Package
// protocol says how it is started and what it writes.
//
// It is built without cgo, runs in any image, as any user, and needs nothing
// there but /proc.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"

	"github.com/seatrial/seatrial/testsuite/helper/protocol"
)

func main() {
	// The kernel ends the command when the thread that started it ends.
	runtime.LockOSThread()
	os.Exit(start(os.Args[1:]))
}

// start runs a mode and returns the exit code.
func start(args []string) int {
	if len(args) < 2 {
		return refuse(fmt.Errorf("usage: init MODE OPTIONS [COMMAND…], not meant to be called by hand"))
	}
	mode, options, argv := args[0], []byte(args[1]), args[2:]
	switch mode {
	case protocol.ModeRun:
		return with(options, func(o protocol.Run) int { return run(o, argv) })
	case protocol.ModeForward:
		return with(options, forwardOnly)
	case protocol.ModeProbe:
		return with(options, func(o protocol.Probe) int { return probe(o, argv) })
	case protocol.ModePorts:
		return with(options, ports)
	case protocol.ModeFill:
		return with(options, fill)
	case protocol.ModeSplit:
		return with(options, split)
	}
	return refuse(fmt.Errorf("mode %q is not known", mode))
}

func with[T any](raw []byte, f func(T) int) int {
	var options T
	if err := json.Unmarshal(raw, &options); err != nil {
		return refuse(fmt.Errorf("reading options %q: %w", raw, err))
	}
	return f(options)
}

// refuse says on stderr why there is nothing to wait for.
func refuse(err error) int {
	fmt.Fprintln(os.Stderr, "seatrial:", err)
	return protocol.ExitHelper
}
