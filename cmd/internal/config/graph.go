package config

import (
	"slices"
	"strings"
)

// named is a service with the name that it has.
type named struct {
	name string
	at   Pos
	*Service
}

// shared are the services of the file's own list.
func (f *File) shared() []named {
	var out []named
	for i := range f.Services {
		e := &f.Services[i]
		out = append(out, named{e.Name, e.At, &e.Value})
	}
	return out
}

// checkServices compares the services.
func (f *File) checkServices() error {
	for _, e := range f.Services {
		if name := &e.Value.Name; name.set() {
			return f.errorf(name.Pos, "", "this service is called %q: its key is its name", e.Name)
		}
	}
	all := f.shared()
	if err := f.checkHostNames(all); err != nil {
		return err
	}
	_, err := f.closure(all, all)
	return err
}

// checkHostNames finds two services with one name or alias.
func (f *File) checkHostNames(list []named) error {
	seen := map[string]Pos{}
	add := func(name string, at Pos) error {
		if first, ok := seen[name]; ok {
			return f.errorf(at, "", "two services are called %q; the first is in line %d", name, first.Line)
		}
		seen[name] = at
		return nil
	}
	for _, s := range list {
		if err := add(s.name, s.at); err != nil {
			return err
		}
		for _, alias := range s.Aliases.items {
			if err := add(alias.raw, alias.Pos); err != nil {
				return err
			}
		}
	}
	return nil
}

// servicesOf are the services of a test, and those that they depend on.
func (f *File) servicesOf(t *Test) ([]named, error) {
	known := f.shared()
	var own []named
	for _, ref := range t.Services {
		if ref.Service != nil {
			s := named{ref.Service.Name.raw, ref.Service.Name.Pos, ref.Service}
			own, known = append(own, s), append(known, s)
		}
	}
	for _, ref := range t.Services {
		if ref.Service != nil {
			continue
		}
		i := find(known, ref.Ref.raw)
		if i < 0 {
			return nil, f.errorf(ref.At, nearest(ref.Ref.raw, hostNames(known)), "no service is called %q", ref.Ref.raw)
		}
		if find(own, ref.Ref.raw) >= 0 {
			return nil, f.errorf(ref.At, "", "service %q is named twice", ref.Ref.raw)
		}
		own = append(own, known[i])
	}
	all, err := f.closure(own, known)
	if err != nil {
		return nil, err
	}
	return all, f.checkHostNames(all)
}

func find(list []named, name string) int {
	return slices.IndexFunc(list, func(s named) bool { return s.name == name })
}

func hostNames(list []named) []string {
	var out []string
	for _, s := range list {
		out = append(out, s.name)
	}
	return out
}

// closure adds to start what it depends on, and finds what depends on itself.
func (f *File) closure(start, known []named) ([]named, error) {
	out := slices.Clone(start)
	done := map[string]bool{}
	var visit func(s named, path []string) error
	visit = func(s named, path []string) error {
		if done[s.name] {
			return nil
		}
		path = append(slices.Clone(path), s.name)
		for _, dep := range s.DependsOn.items {
			if i := slices.Index(path, dep.Name); i >= 0 {
				return f.errorf(dep.At, "remove one of these dependencies; services find each other by name without any", "services wait for one another: %s", strings.Join(append(path[i:], dep.Name), ", which waits for "))
			}
			i := find(known, dep.Name)
			if i < 0 && dep.Value.Optional.raw == "true" {
				continue
			}
			if i < 0 {
				return f.errorf(dep.At, nearest(dep.Name, hostNames(known)), "no service is called %q", dep.Name)
			}
			if find(out, dep.Name) < 0 {
				out = append(out, known[i])
			}
			if err := visit(known[i], path); err != nil {
				return err
			}
		}
		done[s.name] = true
		return nil
	}
	for _, s := range start {
		if err := visit(s, nil); err != nil {
			return nil, err
		}
	}
	return out, nil
}
