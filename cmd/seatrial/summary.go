package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/registry"
)

// tailLines is how much of a failed test's output is shown.
const tailLines = 40

// summary says in a few lines what was built, tested and pushed.
func (o *outcome) summary(w io.Writer) {
	if o.result == nil {
		return
	}
	printWarnings(w, o.warnings())
	fmt.Fprintln(w)
	o.summarizeBuild(w)
	if o.report != nil {
		for _, c := range o.report.Cases {
			summarizeCase(w, c)
		}
		if len(o.report.Untested) > 0 {
			row(w, "", "not tested on "+strings.Join(o.report.Untested, ", ")+" (--test-platform)", "")
		}
	} else if o.mode == modeRun || o.mode == modePush {
		row(w, "tested", "nothing (--untested)", "")
	} else if len(o.pushed) > 0 {
		row(w, "tested", "nothing: seatrial build runs no tests", "")
	}
	for _, f := range o.wrote {
		row(w, "wrote", short(f.typed, 60), "")
	}
	o.signed.summarize(w)
	for _, p := range o.pushed {
		what := "tag moved"
		if !p.Moved {
			what = "already there"
		}
		if by := overtakenBy(p); by != "" {
			what = "tag moved, and another push has moved it on to " + by
		}
		row(w, "pushed", canonical(p.Reference), what)
	}
	o.summarizeNotMoved(w)
	if o.preview != nil {
		o.preview.summarize(w)
	}
	var partial *registry.PartialError
	if (o.mode == modeRun || o.mode == modePush) && o.err != nil && !errors.As(o.err, &partial) && len(o.pushed) == 0 && o.preview == nil {
		row(w, "pushed", "nothing: no tag moved", "")
	}
	warnOfContexts(w, o.result.Transfers)
	building, compressing := o.result.Record.Compression()
	hintAtCompression(w, o.compression, building, compressing)
	o.hintAtStayed(w)
	if o.mode == modeBuild && o.err == nil && o.nowhere {
		fmt.Fprintln(w, "hint: there is no output, so the image stays in the builder's cache, without its name: --push pushes it, --output type=oci,dest=FILE writes it")
	}
	for _, text := range o.unread {
		fmt.Fprintf(w, "warning: reading cache %s\n", text)
	}
	for _, text := range messages(o.result.CacheErr) {
		fmt.Fprintf(w, "warning: %s\n", text)
	}
	row(w, "took", o.timing(), "")
}

func (o *outcome) summarizeBuild(w io.Writer) {
	total, cached := o.result.Record.Steps()
	steps := fmt.Sprintf("%s, %d cached", plural(total, "step"), cached)
	var failed *buildError
	if errors.As(o.err, &failed) {
		row(w, "build", "failed after "+steps, "")
		return
	}
	if o.result.Descriptor.Digest == "" {
		row(w, "build", "not finished: "+steps, "")
		return
	}
	if o.mode == modePush {
		row(w, "image", o.result.Descriptor.Digest.String(), "")
		return
	}
	row(w, "built", o.result.Descriptor.Digest.String(), "")
	row(w, "", steps, "")
}

func printOutput(w io.Writer, who string, v llb.Vertex) {
	if len(v.Log) == 0 {
		return
	}
	var b strings.Builder
	_ = v.PrintLog(&b, tailLines)
	fmt.Fprintf(w, "the end of what %s printed:\n", who)
	for _, line := range strings.Split(strings.TrimRight(sanitize(b.String()), "\n"), "\n") {
		fmt.Fprintf(w, "  | %s\n", line)
	}
}

// timing is the whole and its parts; image, tests and push overlap.
func (o *outcome) timing() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	parts := make([]string, 0, len(o.phases))
	for _, want := range []string{"connect", "read", "build", "test", "output", "push"} {
		for _, p := range o.phases {
			if p.Name == want {
				parts = append(parts, fmt.Sprintf("%s %s", p.Name, seconds(p.Duration)))
			}
		}
	}
	return fmt.Sprintf("%s (%s)", seconds(o.duration), strings.Join(parts, ", "))
}

func row(w io.Writer, what, thing, note string) {
	line := fmt.Sprintf("%6s  %s", what, thing)
	if note != "" {
		line += "  " + note
	}
	fmt.Fprintln(w, strings.TrimRight(line, " "))
}

func seconds(d time.Duration) string {
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	default:
		return fmt.Sprintf("%.2fs", d.Seconds())
	}
}

func short(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// canonical is a reference with its registry and tag spelled out, and Docker
// Hub under its usual name.
func canonical(ref name.Reference) string {
	s := ref.Name()
	if rest, ok := strings.CutPrefix(s, name.DefaultRegistry+"/"); ok {
		return "docker.io/" + rest
	}
	return s
}
