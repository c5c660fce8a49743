package compose

import (
	"os"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// check looks at sut and at what it depends on, before it is taken apart.
func (d *document) check(p *types.Project, active []string) error {
	services := p.AllServices()
	if _, ok := services[sut]; !ok {
		return d.errorf([]string{"services"}, "call the service that is the test sut, and its exit code decides; "+example,
			"there is no service %q: %s", sut, strings.Join(d.order(services), ", "))
	}
	w := &walk{doc: d, services: services, active: active, done: map[string]bool{}}
	return w.visit(sut)
}

// order is the services' names in the file's order, and then those from elsewhere.
func (d *document) order(services types.Services) []string {
	var out, rest []string
	if n := d.value("services"); n != nil {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if _, ok := services[n.Content[i].Value]; ok {
				out = append(out, n.Content[i].Value)
			}
		}
	}
	for name := range services {
		if !slices.Contains(out, name) {
			rest = append(rest, name)
		}
	}
	slices.Sort(rest)
	return append(out, rest...)
}

// walk goes from sut to what it depends on.
type walk struct {
	doc      *document
	services types.Services
	active   []string // profiles
	path     []string
	done     map[string]bool
}

func (w *walk) visit(name string) error {
	if w.done[name] {
		return nil
	}
	s := w.services[name]
	if err := w.doc.complete(s); err != nil {
		return err
	}
	w.path = append(w.path, name)
	for _, dep := range w.dependencies(s) {
		if _, ok := w.services[dep]; ok && !w.services[dep].HasProfile(w.active) && !s.DependsOn[dep].Required {
			continue
		}
		if err := w.follow(name, dep); err != nil {
			return err
		}
		if err := w.visit(dep); err != nil {
			return err
		}
	}
	w.path = w.path[:len(w.path)-1]
	w.done[name] = true
	return nil
}

// follow tells whether a service can have what it depends on.
func (w *walk) follow(name, dep string) error {
	place := w.doc.dependency(name, dep)
	if i := slices.Index(w.path, dep); i >= 0 {
		return w.doc.errorf(place, "remove one of these dependencies; services find each other by name without any",
			"services wait for each other: %s", strings.Join(append(slices.Clone(w.path[i:]), dep), " → "))
	}
	other, ok := w.services[dep]
	if !ok {
		return w.doc.errorf(place, "the services are "+strings.Join(w.doc.order(w.services), ", "),
			"%s depends on the service %s, which is not there", name, dep)
	}
	if !other.HasProfile(w.active) {
		return w.doc.errorf(place, "say COMPOSE_PROFILES="+other.Profiles[0]+", or remove the service's profiles",
			"%s depends on the service %s, whose profiles are not active: %s", name, dep, strings.Join(other.Profiles, ", "))
	}
	return nil
}

// complete looks at what a service needs of itself.
func (d *document) complete(s types.ServiceConfig) error {
	if s.Image == "" && s.Build == nil && s.Provider == nil {
		return d.errorf([]string{"services", s.Name, "image"}, "add `image: NAME`, or `build: .` for the image under test",
			"the service %s has neither image nor build", s.Name)
	}
	for _, f := range s.EnvFiles {
		if _, err := os.Stat(f.Path); err != nil && bool(f.Required) {
			return d.errorf([]string{"services", s.Name, "env_file"}, "it is relative to the Compose file; one that may be missing is {path: FILE, required: false}",
				"there is no file %s with variables for %s", shown(d.file, f.Path), s.Name)
		}
	}
	if h := s.HealthCheck; h != nil && len(h.Test) > 0 && !slices.Contains([]string{"NONE", "CMD", "CMD-SHELL"}, h.Test[0]) {
		return d.errorf([]string{"services", s.Name, "healthcheck", "test"}, "put CMD before the arguments, or write the command as one string",
			"the health check of %s begins with %q, which is none of NONE, CMD and CMD-SHELL", s.Name, h.Test[0])
	}
	return nil
}

// dependencies are sorted: errors are to be the same each time.
func (w *walk) dependencies(s types.ServiceConfig) []string {
	out := s.GetDependencies()
	slices.Sort(out)
	return out
}

// dependency is the path of what makes one service depend on another.
func (d *document) dependency(name, dep string) []string {
	path := []string{"services", name, "depends_on", dep}
	for _, key := range []string{"depends_on", "links", "network_mode", "volumes_from"} {
		if path[2] = key; d.has(path) {
			return path
		}
	}
	return path
}

func (d *document) has(path []string) bool {
	_, n := d.find(path)
	return n == len(path)
}
