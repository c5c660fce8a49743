package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/cmd/internal/config"
	"github.com/seatrial/seatrial/llb"
)

// configNames are those of the file beside the Dockerfile.
var configNames = []string{"seatrial.yaml", "seatrial.yml"}

// noConfig is the value of --config that has no file read.
const noConfig = "none"

// project is the file in use, and what of it became values of flags.
type project struct {
	file    *config.File // nil: there is none
	lookup  config.Lookup
	secrets []string          // values of variables that look like it
	given   map[string]origin // flags that the file cannot set any more
	applied []config.Setting
	stages  map[string]config.Pos // that the file names
}

// loadProject reads the file and gives its values to the flags that neither the command
// line nor the environment sets, so that they are parsed and checked like those.
func loadProject(c *cli.Context) (*project, error) {
	pr := &project{given: givenFlags(c), stages: map[string]config.Pos{}}
	path, err := configPath(c)
	if err != nil || path == "" {
		return pr, err
	}
	data, err := readConfig(path)
	if err != nil {
		return nil, err
	}
	pr.lookup = pr.noting(variables(c.Context, filepath.Dir(path)))
	if pr.file, err = config.Load(path, data); err != nil {
		return nil, fileError(err)
	}
	for _, s := range pr.file.Settings(pr.lookup) {
		if err := pr.apply(c, s); err != nil {
			return nil, err
		}
	}
	return pr, nil
}

// noting is lookup that keeps in mind what looks like a secret.
func (pr *project) noting(lookup config.Lookup) config.Lookup {
	return func(name string) (string, error) {
		v, err := lookup(name)
		if err == nil && secretName.MatchString(name) && !slices.Contains(pr.secrets, v) {
			pr.secrets = append(pr.secrets, v)
		}
		return v, err
	}
}

// configPath is "" if there is no file. One that is beside a context which is not on
// this machine is read only if it is named: it is not that context's.
func configPath(c *cli.Context) (string, error) {
	switch path := c.String("config"); path {
	case noConfig:
		return "", nil
	case "":
	default:
		return path, nil
	}
	context := "."
	if args := contextArgs(c); len(args) > 0 {
		context = args[0]
	}
	if context == stdin || llb.IsRemote(context) {
		return "", nil
	}
	var found []string
	for _, name := range configNames {
		if _, err := os.Lstat(filepath.Join(context, name)); err == nil {
			found = append(found, filepath.Join(context, name))
		}
	}
	if len(found) > 1 {
		return "", usagef("remove one, or name one with --config", "there are both %s", strings.Join(found, " and "))
	}
	return strings.Join(found, ""), nil
}

func readConfig(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		hint := ""
		if errors.Is(err, fs.ErrNotExist) {
			hint = "--config names a file, from where seatrial runs; --config none has none read; seatrial init writes one"
		}
		return nil, usagef(hint, "reading the configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, 2<<20)) // more than Load takes
	if err != nil {
		return nil, usagef("", "reading the configuration: %w", err)
	}
	return data, nil
}

// apply gives one setting to its flag, if the command has that.
func (pr *project) apply(c *cli.Context, s config.Setting) error {
	flag := flagOf(c, s.Flag)
	if flag == nil || s.Flag == "addr" && os.Getenv("BUILDKIT_HOST") != "" {
		return nil
	}
	list := isList(flag)
	given := c.IsSet(s.Flag)
	if given && !s.Named {
		return nil
	}
	if s.Err != nil {
		return fileError(s.Err)
	}
	var old []string
	if given {
		old = c.StringSlice(s.Flag)
		s.Values = slices.DeleteFunc(s.Values, func(v config.Value) bool { return overridden(v.Name, s.Flag, old) })
	}
	if len(s.Values) == 0 {
		return nil
	}
	pr.applied = append(pr.applied, s)
	if s.Flag == "target" {
		pr.stages[s.Values[0].Text] = s.Values[0].Pos
	}
	if list {
		return c.Set(s.Flag, cli.NewStringSlice(append(texts(s.Values), old...)...).Serialize())
	}
	v := s.Values[0]
	if err := c.Set(s.Flag, v.Text); err != nil {
		return fileError(pr.file.Error(v.Pos, "", fmt.Sprintf("%s: %q: %v", s.Key, v.Text, err)))
	}
	return nil
}

func texts(values []config.Value) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = v.Text
	}
	return out
}

// overridden tells whether one of values is for the same name.
func overridden(name, flag string, values []string) bool {
	return slices.ContainsFunc(values, func(v string) bool {
		if flag == "secret" {
			return slices.Contains(strings.Split(v, ","), "id="+name)
		}
		given, _, _ := strings.Cut(v, "=")
		return given == name
	})
}

// flagOf is the command's flag of that name, nil if it has none.
func flagOf(c *cli.Context, name string) cli.Flag {
	for _, f := range c.Command.Flags {
		if slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}
