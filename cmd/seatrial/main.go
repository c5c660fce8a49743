// Command seatrial builds a container image, tests it, and only then pushes it.
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/sirupsen/logrus"

	_ "github.com/seatrial/seatrial/cmd/internal/heap"

	// BuildKit's programs all register this gRPC codec. The default one refuses
	// file names that are not UTF-8.
	_ "github.com/moby/buildkit/util/grpcutil/encoding/proto"
)

// version is set by the linker.
var version = "dev"

func main() {
	// A reader that has gone is an error like others: what was started must
	// be stopped.
	signal.Ignore(syscall.SIGPIPE)
	// BuildKit's client and containerd log what a user is told here, net/http what a
	// server says that it was not asked for; nothing here logs.
	logrus.SetLevel(logrus.PanicLevel)
	log.SetOutput(io.Discard)
	ctx, stop := context.WithCancelCause(context.Background())
	// Asked for here: a goroutine may not run before the first signal comes.
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go heed(signals, stop)
	code := Main(ctx, os.Args, Streams{Out: os.Stdout, Err: os.Stderr})
	stop(nil)
	os.Exit(code)
}

// heed cancels on the first of signals, with the signal as the cause, and ends
// the process on the second.
func heed(signals <-chan os.Signal, stop context.CancelCauseFunc) {
	first := (<-signals).(syscall.Signal) //nolint:errcheck,forcetypeassert // os/signal delivers nothing else here
	stop(&signalError{first})
	second := (<-signals).(syscall.Signal) //nolint:errcheck,forcetypeassert // as above
	os.Exit(128 + int(second))
}
