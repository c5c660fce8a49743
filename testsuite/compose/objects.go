package compose

import (
	"fmt"
	"os"
	"path"
	"path/filepath"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/seatrial/seatrial/testsuite"
)

// mostBytes is how much a config or a secret may have, as in Docker and BuildKit.
const mostBytes = 500 << 10

// config is a file with the text that the Compose file has or names.
func (m *mapper) config(s *types.ServiceConfig, c types.ServiceConfigObjConfig) (testsuite.Mount, error) {
	object := m.project.Configs[c.Source]
	place := []string{"configs", c.Source}
	out := testsuite.Mount{Target: target("/", c.Target, c.Source), ReadOnly: true, Text: object.Content}
	switch {
	case bool(object.External):
		return out, m.doc.errorf(place, "give it a file: or content:", "the config %s is in a swarm, which is not there", c.Source)
	case object.File != "":
		info, err := os.Stat(object.File)
		if err != nil || !info.Mode().IsRegular() || info.Size() > mostBytes {
			return out, m.doc.errorf(append(place, "file"), "it is relative to the Compose file, and of 500 KiB at most", "the config %s: no file %s that can be used", c.Source, m.shown(object.File))
		}
		data, err := os.ReadFile(object.File)
		if err != nil {
			return out, m.doc.errorf(append(place, "file"), "", "reading the config %s: %w", c.Source, err)
		}
		out.Text = string(data)
	}
	if out.Text == "" {
		return out, m.doc.errorf(place, "give it content, or remove it from "+s.Name, "the config %s is empty", c.Source)
	}
	return out, nil
}

// secret is a mount whose value the caller has to provide. One that Compose calls
// external is the command line's.
func (m *mapper) secret(s *types.ServiceConfig, c types.ServiceSecretConfig) (testsuite.Mount, error) {
	object := m.project.Secrets[c.Source]
	place := []string{"secrets", c.Source}
	out := testsuite.Mount{Type: testsuite.MountSecret, ID: object.Name, Target: target("/run/secrets", c.Target, c.Source)}
	if object.External {
		if m.opt.Given != nil && !m.opt.Given(out.ID) {
			return out, m.doc.errorf(place, fmt.Sprintf("--secret id=%s,src=FILE, or --secret id=%s,env=VARIABLE; or give it file: or environment: here", out.ID, out.ID),
				"%s needs the external secret %q, which is not given", s.Name, out.ID)
		}
		return out, nil
	}
	value := Secret{ID: filepath.Base(m.doc.file) + "/" + c.Source, File: object.File}
	out.ID = value.ID
	if object.Environment != "" {
		v, ok := m.opt.Env[object.Environment]
		if !ok {
			return out, m.doc.errorf(append(place, "environment"), "set it where this command runs", "the secret %s: the variable %s is not set", c.Source, object.Environment)
		}
		value.Env, value.Value = object.Environment, v
	} else if info, err := os.Stat(object.File); err != nil || !info.Mode().IsRegular() || info.Size() > mostBytes {
		return out, m.doc.errorf(append(place, "file"), "it is relative to the Compose file, and of 500 KiB at most", "the secret %s of %s: no file %s that can be used", c.Source, s.Name, m.shown(object.File))
	}
	for _, have := range m.out.Secrets {
		if have.ID == value.ID {
			return out, nil
		}
	}
	m.out.Secrets = append(m.out.Secrets, value)
	return out, nil
}

// target is a path in the container: absolute, or below dir.
func target(dir, given, name string) string {
	switch {
	case given == "":
		return path.Join(dir, name)
	case path.IsAbs(given):
		return given
	default:
		return path.Join(dir, given)
	}
}
