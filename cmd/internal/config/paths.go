package config

import (
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Path is that of a file or directory. Paths are relative to the file that names them.
type Path struct{ Text }

// Paths are one, or a list of them.
type Paths struct{ List }

func (p *Paths) decode(d *decoder, n *yaml.Node) error {
	if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		return d.errorf(posOf(n), "", "the path of a file is expected, not an empty list")
	}
	return p.List.decode(d, n)
}

// Stage is one of the Dockerfile.
type Stage struct{ Text }

// Contexts are named contexts, of which some are paths.
type Contexts struct{ Pairs }

// Locations are what -o, --cache-to and --cache-from take, in which paths may be.
type Locations struct{ List }

// SSH are agents and keys, which have paths.
type SSH struct{ List }

// SignKey is who signs: keyless, or key=FILE.
type SignKey struct{ Text }

// Secrets are by id.
type Secrets struct{ Map[Secret] }

// Secret is where a secret's value is; it is never in the file.
type Secret struct {
	At  Pos
	Src Path `key:"src" doc:"File with the secret."`
	Env Text `key:"env" doc:"Environment variable that has the secret."`
}

func (s *Secret) check(d *decoder) error {
	if s.Src.set() == s.Env.set() {
		return d.errorf(s.At, "", "a secret has one of src and env")
	}
	return nil
}

// resolve is path as seen from where seatrial runs.
func (s source) resolve(path string) string {
	if path == "" || path == "-" || filepath.IsAbs(path) || strings.HasPrefix(path, "~") {
		return path
	}
	return filepath.Join(filepath.Dir(s.name), path)
}

// resolveContext leaves everything alone that is no path.
func (s source) resolveContext(v string) string {
	if scheme, path, ok := strings.Cut(v, "://"); ok {
		if scheme == "oci-layout" {
			return scheme + "://" + s.resolve(path)
		}
		return v
	}
	if strings.HasPrefix(v, "target:") || strings.HasPrefix(v, "git@") {
		return v
	}
	return s.resolve(v)
}

// resolveLocation knows the fields that are paths, of the types that have any.
func (s source) resolveLocation(v string) string {
	fields := strings.Split(v, ",")
	onDisk := func(f string) bool {
		return slices.Contains([]string{"type=local", "type=tar", "type=oci", "type=docker"}, strings.TrimSpace(f))
	}
	if !slices.ContainsFunc(fields, onDisk) {
		return v
	}
	for i, f := range fields {
		key, path, ok := strings.Cut(f, "=")
		if ok && (strings.TrimSpace(key) == "src" || strings.TrimSpace(key) == "dest") {
			fields[i] = key + "=" + s.resolve(path)
		}
	}
	return strings.Join(fields, ",")
}

// resolveKey is for key=PATH.
func (s source) resolveKey(v string) string {
	kind, path, ok := strings.Cut(v, "=")
	if !ok {
		return v
	}
	return kind + "=" + s.resolve(path)
}

// resolveSSH is for ID=PATH[,PATH].
func (s source) resolveSSH(v string) string {
	id, list, ok := strings.Cut(v, "=")
	if !ok {
		return v
	}
	paths := strings.Split(list, ",")
	for i, p := range paths {
		if !strings.Contains(p, "=") {
			paths[i] = s.resolve(p)
		}
	}
	return id + "=" + strings.Join(paths, ",")
}
