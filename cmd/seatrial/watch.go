package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/cmd/internal/buildkitd"
	"github.com/seatrial/seatrial/cmd/internal/filewatch"
	"github.com/seatrial/seatrial/llb"
)

// errChanged ends a round in which something was changed: it would tell of what is no
// more.
var errChanged = errors.New("files have changed")

// watching is seatrial test --watch: one test after the other, each as if the command
// had been typed again.
type watching struct {
	std     Streams
	args    []string // the command line
	files   *filewatch.Watcher
	ignore  []string             // the last that could be read
	held    []*buildkitd.Builder // so that a private one does not stop between rounds
	planned bool                 // the command line was in order once
}

// roundKey is where a round finds its watching in the context.
type roundKey struct{}

// executeTest is seatrial test.
func executeTest(c *cli.Context, std Streams) error {
	if w, ok := c.Context.Value(roundKey{}).(*watching); ok {
		return w.try(c)
	}
	if c.Bool("watch") {
		return watch(c, std)
	}
	return execute(c, std, modeTest)
}

func watch(c *cli.Context, std Streams) error {
	switch context := watchedContext(c); {
	case context == stdin || c.String("file") == stdin:
		return usagef("name a directory", "--watch: standard input does not change")
	case llb.IsRemote(context):
		return usagef("name a directory", "--watch: the context %q is not on this machine", llb.RedactURLs(context))
	case c.Bool(shellOnFailure):
		return usagef("seatrial shell opens one by itself", "--watch contradicts --%s: a change would end the shell", shellOnFailure)
	}
	files, err := filewatch.New()
	if err != nil {
		return watchError(err)
	}
	defer files.Close()
	args, _ := c.App.Metadata[argsKey].([]string)
	w := &watching{std: std, args: args, files: files}
	defer w.release()
	return w.rounds(c.Context)
}

// argsKey is where the command line is in an app's metadata.
const argsKey = "args"

// rounds tests until ctx is over, or the first command line is wrong.
func (w *watching) rounds(ctx context.Context) error {
	for {
		round, cancel := context.WithCancelCause(context.WithValue(ctx, roundKey{}, w))
		over := make(chan error, 1)
		go func() {
			app := newApp(w.std)
			unsetEmpty(app)
			over <- app.RunContext(round, intersperse(app, w.args))
		}()
		var names []string
		changed := "changed while it ran"
		select {
		case names = <-w.files.Changes():
			cancel(errChanged)
			<-over
		case err := <-over:
			if ctx.Err() == nil {
				if !w.planned {
					cancel(nil)
					return err
				}
				report(ctx, err, w.std.Err)
				w.line("waiting for changes; Ctrl-C ends")
				changed = "changed"
				select {
				case names = <-w.files.Changes():
				case <-ctx.Done():
				}
			}
		}
		cancel(nil)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		w.line(changed + ": " + someOf(names))
	}
}

// line separates rounds.
func (w *watching) line(text string) { fmt.Fprintf(w.std.Err, "──── %s ────\n", text) }

// someOf names the first files.
func someOf(names []string) string {
	const most = 3
	shown := make([]string, min(most, len(names)))
	here, err := os.Getwd()
	for i := range shown {
		shown[i] = sanitize(names[i])
		if rel, rerr := filepath.Rel(here, names[i]); err == nil && rerr == nil && filepath.IsLocal(rel) {
			shown[i] = sanitize(rel)
		}
	}
	text := strings.Join(shown, ", ")
	if n := len(names) - most; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}

// try is one round.
func (w *watching) try(c *cli.Context) error {
	// Before anything is read: what changes after that counts.
	if err := w.look(c, nil); err != nil {
		return err
	}
	p, err := newPlan(c, modeTest)
	if err != nil {
		var build *buildError
		w.planned = w.planned || errors.As(err, &build) // the Dockerfile's fault
		return err
	}
	w.planned = true
	if err := w.look(c, p); err != nil {
		return err
	}
	if w.held == nil {
		if w.held, err = p.connect(c.Context, w.std.Err); err != nil {
			w.release()
			return errors.Join(err, p.build.Source.Close())
		}
	}
	err = errors.Join(p.execute(c.Context, w.std), p.build.Source.Close())
	if p.debug {
		explain(w.std.Err, err)
	}
	return err
}

func (w *watching) release() {
	for _, b := range w.held {
		_ = b.Close()
	}
	w.held = nil
}
