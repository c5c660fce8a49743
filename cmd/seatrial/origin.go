package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/cmd/internal/config"
)

// origin is where a value comes from.
type origin struct {
	Kind     string `json:"kind"`               // flag, environment, file, detection or default
	Variable string `json:"variable,omitempty"` // of the environment
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
}

func (o origin) String() string {
	switch o.Kind {
	case "environment":
		return "environment: " + o.Variable
	case "file":
		return fmt.Sprintf("%s:%d", o.File, o.Line)
	}
	return o.Kind
}

// givenFlags are those that the command line or the environment sets.
func givenFlags(c *cli.Context) map[string]origin {
	out := map[string]origin{}
	for _, f := range c.Command.Flags {
		name := f.Names()[0]
		if !c.IsSet(name) {
			continue
		}
		out[name] = origin{Kind: "flag"}
		if doc, ok := f.(cli.DocGenerationFlag); ok && f.IsSet() {
			// It is in the environment; the command line may override that.
			for _, v := range doc.GetEnvVars() {
				if value := os.Getenv(v); value != "" && value == strings.Join(valuesOf(c, name), "\n") {
					out[name] = origin{Kind: "environment", Variable: v}
					break
				}
			}
		}
	}
	return out
}

// valuesOf are a flag's, as text.
func valuesOf(c *cli.Context, name string) []string {
	switch f := flagOf(c, name); {
	case f == nil:
		return nil
	case isList(f):
		return c.StringSlice(name)
	default:
		return []string{fmt.Sprint(c.Value(name))}
	}
}

// origin is where one value of a flag comes from.
func (pr *project) origin(flag, value string) origin {
	for _, s := range pr.applied {
		if s.Flag != flag {
			continue
		}
		if i := slices.IndexFunc(s.Values, func(v config.Value) bool { return v.Text == value }); i >= 0 {
			return pr.at(s.Values[i].Pos)
		}
	}
	if o, ok := pr.given[flag]; ok {
		return o
	}
	return origin{Kind: "default"}
}

func (pr *project) at(pos config.Pos) origin {
	return origin{Kind: "file", File: pr.file.Name(), Line: pos.Line}
}
