package config

import (
	"regexp"
	"slices"

	"github.com/seatrial/seatrial/testsuite"
)

// Declared is a test that the file declares.
type Declared struct {
	testsuite.Test
	// File is the path of a file that says what the test does, FilePos where that is
	// named; "" if the test says so itself.
	File    string
	FilePos Pos
	// Pos is where the test is declared.
	Pos Pos
}

// Suite are the tests of the file. Its error is an *Error for the first variable
// that has no value, and for what is wrong with one.
func (f *File) Suite(lookup Lookup) ([]Declared, error) {
	var out []Declared
	for i := range f.Tests {
		t := &f.Tests[i]
		x := &expander{source: f.source, lookup: lookup}
		d := Declared{Pos: t.At, Test: x.test(t)}
		list, err := f.servicesOf(t)
		if err != nil {
			return nil, err
		}
		for _, s := range list {
			d.Services = append(d.Services, x.service(s.name, s.Service))
		}
		if len(t.File.items) == 0 {
			out = append(out, d)
		}
		for i := range t.File.items {
			out = append(out, x.file(&t.File.items[i], d))
		}
		if x.err != nil {
			return nil, x.err
		}
	}
	return out, nil
}

// file is d as the test that a file has. It is called as the file is here, so that its
// name is the same wherever seatrial runs.
func (x *expander) file(path *Text, d Declared) Declared {
	name := x.text(path)
	if d.Name == "" {
		d.Name = name
	}
	d.File, d.FilePos = x.resolve(name), path.Pos
	if name == "" {
		x.keep(x.errorf(path.Pos, "", "the path of a file is expected, not an empty one"))
	}
	return d
}

// Stages are the places where the file names stages, by their names. Those of tests
// are there if the tests are.
func (f *File) Stages(lookup Lookup) map[string]Pos {
	x := &expander{source: f.source, lookup: lookup}
	out := map[string]Pos{}
	add := func(s *Stage) {
		if _, known := out[x.text(&s.Text)]; s.set() && !known {
			out[x.text(&s.Text)] = s.Pos
		}
	}
	mounts := func(list []Mount) {
		for i := range list {
			add(&list[i].Stage)
		}
	}
	add(&f.Build.Target)
	for i := range f.Tests {
		t := &f.Tests[i]
		add(&t.Stage)
		mounts(t.Mounts)
		list, _ := f.servicesOf(t) // Load would have had the error
		for _, s := range list {
			add(&s.Stage)
			mounts(s.Mounts)
		}
	}
	return out
}

// Mounted are the places where the file mounts secrets, or agents, by their IDs, as the
// tests and their services have them.
func (f *File) Mounted(kind testsuite.MountType, lookup Lookup) map[string]Pos {
	x := &expander{source: f.source, lookup: lookup}
	out := map[string]Pos{}
	add := func(list []Mount) {
		for i := range list {
			m := &list[i]
			if m.kind() != string(kind) || x.bool(&m.Optional) {
				continue
			}
			at := m.At
			if m.ID.set() {
				at = m.ID.Pos
			}
			if id := x.text(&m.ID); out[id].Line == 0 {
				out[id] = at
			}
		}
	}
	for i := range f.Tests {
		add(f.Tests[i].Mounts)
		list, _ := f.servicesOf(&f.Tests[i]) // Load would have had the error
		for _, s := range list {
			add(s.Mounts)
		}
	}
	return out
}

// Declares is where a service is declared, or with none ("") a test; in a test's own list
// if it is not in the file's.
func (f *File) Declares(test, service string) (Pos, bool) {
	for i := range f.Tests {
		t := &f.Tests[i]
		if !slices.Contains(t.titles(), test) {
			continue
		}
		if service == "" {
			return t.At, true
		}
		list, _ := f.servicesOf(t) // Load would have had the error
		if n := find(list, service); n >= 0 {
			return list[n].at, true
		}
	}
	return Pos{}, false
}

// Unused are the services of the file's own list that no test has, not even one that
// depends on them.
func (f *File) Unused() []Entry[Service] {
	var used []string
	for i := range f.Tests {
		list, _ := f.servicesOf(&f.Tests[i]) // Load would have had the error
		used = append(used, hostNames(list)...)
	}
	return slices.DeleteFunc(slices.Clone(f.Services), func(e Entry[Service]) bool { return slices.Contains(used, e.Name) })
}

// ServiceSizes are the places where services are given a tmpfs of a size.
func (f *File) ServiceSizes() []Pos {
	var out []Pos
	for i := range f.Tests {
		list, _ := f.servicesOf(&f.Tests[i]) // Load would have had the error
		for _, s := range list {
			for i := range s.Mounts {
				if at := s.Mounts[i].Size.Pos; s.Mounts[i].Size.set() && !slices.Contains(out, at) {
					out = append(out, at)
				}
			}
		}
	}
	return out
}

// Error is an error of the file's at pos.
func (f *File) Error(pos Pos, hint, message string) *Error {
	return &Error{Name: f.name, Data: f.data, Pos: pos, Message: message, Hint: hint}
}

// Name is what Load was told.
func (f *File) Name() string { return f.name }

func (x *expander) test(t *Test) testsuite.Test {
	out := testsuite.Test{
		Name: x.text(&t.Name), Command: t.Run.text, Args: t.Args.strings(),
		Env: x.environment(&t.Env), Workdir: x.text(&t.Workdir), User: x.text(&t.User), Network: x.word(&t.Network.Text, &t.Network),
		Memory: x.size(&t.Memory), CPUs: x.number(&t.CPUs),
		Reports: x.list(&t.Reports), Timeout: x.duration(&t.Timeout), Retries: x.int(&t.Retries), Shards: x.int(&t.Shards), Split: x.list(&t.Split),
	}
	for i := range t.Mounts {
		out.Mounts = append(out.Mounts, x.mount(&t.Mounts[i]))
	}
	if t.Run.set() || t.Args.set() {
		out.From = testsuite.Source{Stage: x.text(&t.Stage.Text), Image: x.text(&t.Image)}
	} else {
		out.Stage = x.text(&t.Stage.Text)
	}
	return out
}

func (x *expander) mount(m *Mount) testsuite.Mount {
	return testsuite.Mount{
		Type: testsuite.MountType(m.kind()), Target: x.text(&m.Target), Path: x.text(&m.Path),
		From:     testsuite.Source{Stage: x.text(&m.Stage.Text), Image: x.text(&m.Image), Context: x.word(&m.From.Text, &m.From) == context},
		ReadOnly: x.bool(&m.ReadOnly), ID: x.text(&m.ID), Env: x.text(&m.Env), Optional: x.bool(&m.Optional), Size: x.size(&m.Size),
	}
}

func (x *expander) service(name string, s *Service) testsuite.Service {
	out := testsuite.Service{
		Name: name, Aliases: x.list(&s.Aliases),
		From:       testsuite.Source{Stage: x.text(&s.Stage.Text), Image: x.text(&s.Image)},
		Platform:   x.text(&s.Platform),
		Entrypoint: s.Entrypoint.strings(), Args: s.Args.strings(), Shell: s.Run.text,
		Env: x.environment(&s.Env), Workdir: x.text(&s.Workdir), User: x.text(&s.User), Hostname: x.text(&s.Hostname),
		Hosts: x.environment(&s.ExtraHosts), Network: x.word(&s.Network.Text, &s.Network), StopSignal: x.text(&s.StopSignal),
	}
	for i := range s.Mounts {
		out.Mounts = append(out.Mounts, x.mount(&s.Mounts[i]))
	}
	for i := range s.Ports {
		out.Ports = append(out.Ports, x.port(&s.Ports[i]))
	}
	if p := s.Ready; p != nil {
		out.Ready = &testsuite.Probe{
			Test: p.Test.strings(), Port: x.port(&p.Port), Log: p.Log.text,
			Interval: x.duration(&p.Interval), Timeout: x.duration(&p.Timeout), StartPeriod: x.duration(&p.StartPeriod),
			StartInterval: x.duration(&p.StartInterval), Retries: x.int(&p.Retries),
		}
	}
	for i := range s.DependsOn.items {
		e := &s.DependsOn.items[i]
		dep := testsuite.Dependency{Service: e.Name, Condition: testsuite.Healthy, Optional: x.bool(&e.Value.Optional)}
		if c := &e.Value.Condition; c.set() {
			dep.Condition = testsuite.Condition(x.word(&c.Text, c))
		}
		out.DependsOn = append(out.DependsOn, dep)
	}
	return out
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// environment leaves out names without a value that the environment has none for.
func (x *expander) environment(p *Pairs) map[string]string {
	var out map[string]string
	for i := range p.items {
		item := &p.items[i]
		v := x.text(&item.value)
		if item.bare {
			var err error
			if !variableName.MatchString(item.name) {
				continue
			}
			if v, err = x.lookup(item.name); err != nil {
				continue
			}
		}
		if out == nil {
			out = map[string]string{}
		}
		out[item.name] = v
	}
	return out
}
