package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/subrequests"
	"github.com/moby/buildkit/frontend/subrequests/lint"
	"github.com/moby/buildkit/frontend/subrequests/outline"
	"github.com/moby/buildkit/frontend/subrequests/targets"
	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/llb"
)

// callMethods are what can be asked of a Dockerfile instead of building it.
var callMethods = []string{"lint", "outline", "targets", "subrequests.describe"}

// call is something that is asked of a Dockerfile instead of building it, as
// buildx's --call has it.
type call struct {
	method       string
	json         bool
	ignoreStatus bool // what is found does not change the exit code
}

func callFlags() []cli.Flag {
	return []cli.Flag{
		boolFlag(catBuild, "check", "lint the Dockerfile instead of building it: --call check"),
		stringFlag(catBuild, "call", "ask `METHOD[,format=json][,ignorestatus=true]` of the Dockerfile instead of building it: check, outline, targets or subrequests.describe"),
	}
}

// calls understands --call and --check.
func (p *plan) calls(c *cli.Context) error {
	value := c.String("call")
	if c.Bool("check") {
		if c.IsSet("call") && value != "check" {
			return usagef("", "--check contradicts --call %s", value)
		}
		value = "check"
	}
	parsed := &call{}
	for _, field := range strings.Split(value, ",") {
		if err := parsed.set(field); err != nil {
			return usagef("it looks like check, or outline,format=json", "--call %q: %w", value, err)
		}
	}
	if parsed.method != "build" && parsed.method != "" {
		p.call = parsed
	}
	return nil
}

func (f *call) set(field string) error {
	name, value, ok := strings.Cut(field, "=")
	var err error
	switch {
	case !ok && f.method != "":
		return fmt.Errorf("there is one method, not %q and %q", f.method, field)
	case !ok && field == "check":
		f.method = "lint"
	case !ok && (field == "build" || field == "" || slices.Contains(callMethods, field)):
		f.method = field
	case !ok:
		return fmt.Errorf("%q is not one of build, check, %s", field, strings.Join(callMethods, ", "))
	case name == "format" && (value == "json" || value == "text"):
		f.json = value == "json"
	case name == "format":
		return fmt.Errorf("format %q is not one of text, json", value)
	case name == "ignorestatus":
		if f.ignoreStatus, err = strconv.ParseBool(value); err != nil {
			return fmt.Errorf("ignorestatus %q is neither true nor false", value)
		}
	default:
		return fmt.Errorf("%q is not one of format, ignorestatus", name)
	}
	return nil
}

// ask makes the call and prints the answer.
func (p *plan) ask(ctx context.Context, std Streams) error {
	p.addrs = p.addrs[:1] // of several, any will do
	builders, err := p.connect(ctx, std.Err)
	if err != nil {
		return err
	}
	builder := builders[0]
	defer builder.Close()
	answer, err := llb.Call(ctx, builder.Client, p.build, "frontend."+p.call.method)
	if err != nil {
		return p.classify(err, builder, &llb.Record{})
	}
	return p.call.print(std.Out, answer)
}

// print shows an answer with BuildKit's own printers. What a lint found decides the
// exit code.
func (f *call) print(w io.Writer, answer map[string][]byte) error {
	if f.method == "lint" {
		return f.printLint(w, answer["result.json"])
	}
	if f.json {
		_, err := fmt.Fprintf(w, "%s\n", answer["result.json"])
		return err
	}
	printers := map[string]func([]byte, io.Writer) error{
		"outline": outline.PrintOutline, "targets": targets.PrintTargets, "subrequests.describe": subrequests.PrintDescribe,
	}
	return printers[f.method](answer["result.json"], w)
}

func (f *call) printLint(w io.Writer, dt []byte) error {
	var found lint.LintResults
	if err := json.Unmarshal(dt, &found); err != nil {
		return fmt.Errorf("reading what the linter found: %w", err)
	}
	if f.json {
		fmt.Fprintf(w, "%s\n", dt)
	} else if err := printLintText(w, &found); err != nil {
		return err
	}
	n := len(found.Warnings)
	switch {
	case found.Error != nil:
		return &checkError{code: exitBuild, text: firstLine(found.Error.Message)}
	case n > 0 && !f.ignoreStatus:
		return &checkError{code: exitBuild, text: plural(n, "warning") + " found"}
	}
	return nil
}

func printLintText(w io.Writer, found *lint.LintResults) error {
	var text bytes.Buffer
	for i := range found.Warnings {
		if fix := lintFixes[found.Warnings[i].RuleName]; fix != "" {
			found.Warnings[i].Detail += "\n" + fix
		}
	}
	if err := found.PrintTo(&text, withoutSecrets); err != nil {
		return fmt.Errorf("printing what the linter found: %w", err)
	}
	switch n := len(found.Warnings); {
	case n > 0:
		fmt.Fprintf(w, "Check complete, %s found.\n", plural(n, "warning"))
	case found.Error == nil:
		fmt.Fprintln(w, "Check complete, no warnings found.")
	}
	if found.Error != nil {
		fmt.Fprintln(&text)
		found.PrintErrorTo(&text, withoutSecrets)
	}
	_, err := io.WriteString(w, sanitize(text.String()))
	return err
}

// checkError is something found in a check, which was shown already.
type checkError struct {
	code int
	text string
}

func (e *checkError) Error() string { return e.text }
