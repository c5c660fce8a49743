package compose

import (
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"go.yaml.in/yaml/v4"
)

// complete makes paths absolute and reads the file .env.
func (o Options) complete(file string) (Options, error) {
	if o.ContextDir != "" {
		var err error
		if o.ContextDir, err = filepath.Abs(o.ContextDir); err != nil {
			return o, err
		}
		if o.Dockerfile == "" {
			o.Dockerfile = filepath.Join(o.ContextDir, "Dockerfile")
		}
	}
	if o.Dockerfile != "" {
		var err error
		if o.Dockerfile, err = filepath.Abs(o.Dockerfile); err != nil {
			return o, err
		}
	}
	var err error
	o.Env, err = environ(o.Env, filepath.Join(filepath.Dir(file), ".env"))
	return o, err
}

// environ is env with what a file adds to it, if it is there.
func environ(env map[string]string, file string) (map[string]string, error) {
	out := map[string]string{}
	more, err := dotenv.ReadWithLookup(func(k string) (string, bool) { v, ok := env[k]; return v, ok }, file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{Finding: Finding{File: file, Msg: "variables cannot be read: " + err.Error(), Hint: "a line looks like NAME=VALUE"}, Err: err}
	}
	maps.Copy(out, more)
	maps.Copy(out, env)
	return out, nil
}

var variable = regexp.MustCompile(`\$\$|\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))`)

// unset finds variables that have no value and no default, and are the empty string.
func (d *document) unset(n *yaml.Node, env map[string]string, seen map[string]bool) []Finding {
	if n == nil {
		return nil
	}
	var out []Finding
	if n.Kind == yaml.ScalarNode {
		for _, m := range variable.FindAllStringSubmatch(n.Value, -1) {
			name := m[1] + m[2]
			if _, ok := env[name]; name == "" || ok || seen[name] {
				continue
			}
			seen[name] = true
			out = append(out, Finding{
				File: d.file, Line: n.Line, Column: n.Column, Msg: "the variable " + name + " is not set, and stands for nothing",
				Hint: "set it, or give it a default: ${" + name + ":-VALUE}; a $ that is no variable is written $$",
			})
		}
	}
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			continue
		}
		out = append(out, d.unset(c, env, seen)...)
	}
	return out
}
