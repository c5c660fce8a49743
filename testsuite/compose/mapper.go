package compose

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/seatrial/seatrial/testsuite"
)

// mapper turns a project into a test.
type mapper struct {
	doc     *document
	project *types.Project
	opt     Options
	built   map[string]types.ServiceConfig // by the image's name
	builds  map[string]*testsuite.Build    // by what they are
	names   map[string]string              // a name in the network to its service
	out     File
}

func newMapper(d *document, p *types.Project, opt Options) *mapper {
	m := &mapper{
		doc: d, project: p, opt: opt, built: map[string]types.ServiceConfig{},
		builds: map[string]*testsuite.Build{}, names: map[string]string{},
	}
	for _, s := range p.AllServices() {
		if s.Build != nil && s.Image != "" {
			m.built[normal(s.Image)] = s
		}
	}
	return m
}

func (m *mapper) file() (*File, error) {
	seen := map[string]bool{}
	order := m.doc.order(m.project.Services)
	for _, name := range order {
		s := m.project.Services[name]
		if err := m.refuse(&s); err != nil {
			return nil, err
		}
		m.out.Warnings = append(m.out.Warnings, m.doc.unset(m.doc.value("services", name), m.opt.Env, seen)...)
	}
	s := m.project.Services[sut]
	if err := m.test(&s); err != nil {
		return nil, err
	}
	for _, name := range order {
		if name == sut {
			continue
		}
		s := m.project.Services[name]
		service, err := m.service(&s)
		if err != nil {
			return nil, err
		}
		m.out.Test.Services = append(m.out.Test.Services, service)
	}
	if err := m.aliases(); err != nil {
		return nil, err
	}
	m.warnOfShared()
	slices.SortStableFunc(m.out.Warnings, byLine)
	return &m.out, nil
}

// errorf makes an error of what the path leads to in a service.
func (m *mapper) errorf(s *types.ServiceConfig, hint, format string, args ...any) func(path ...string) error {
	return func(path ...string) error {
		return m.doc.errorf(append([]string{"services", s.Name}, path...), hint, format, args...)
	}
}

func (m *mapper) warn(s *types.ServiceConfig, key, msg string) {
	n := m.doc.at("services", s.Name, key)
	m.out.Warnings = append(m.out.Warnings, Finding{File: m.doc.file, Line: n.Line, Column: n.Column, Msg: msg})
}

func (m *mapper) test(s *types.ServiceConfig) error {
	from, err := m.source(s)
	if err != nil {
		return err
	}
	mounts, err := m.mounts(s)
	if err != nil {
		return err
	}
	hosts, err := m.hosts(s)
	if err != nil {
		return err
	}
	t := &m.out.Test
	*t = testsuite.Test{
		Name:      filepath.Base(m.doc.file),
		Start:     &testsuite.Start{Entrypoint: s.Entrypoint, Args: s.Command},
		From:      from,
		Platform:  s.Platform,
		Env:       environment(s),
		Workdir:   s.WorkingDir,
		User:      s.User,
		Hostname:  s.Hostname,
		Hosts:     hosts,
		Network:   network(s),
		Mounts:    mounts,
		DependsOn: m.dependencies(s),
	}
	t.Memory, t.CPUs = limits(s)
	return nil
}

func (m *mapper) service(s *types.ServiceConfig) (testsuite.Service, error) {
	none := testsuite.Service{}
	from, err := m.source(s)
	if err != nil {
		return none, err
	}
	mounts, err := m.mounts(s)
	if err != nil {
		return none, err
	}
	hosts, err := m.hosts(s)
	if err != nil {
		return none, err
	}
	ports, err := m.ports(s)
	if err != nil {
		return none, err
	}
	if memory, cpus := limits(s); memory > 0 || cpus > 0 {
		m.warn(s, "mem_limit", "limits of "+s.Name+" are not honoured: those of sut alone are")
	}
	m.warnOfSizes(s)
	return testsuite.Service{
		Name:       s.Name,
		From:       from,
		Platform:   s.Platform,
		Entrypoint: s.Entrypoint,
		Args:       s.Command,
		Env:        environment(s),
		Workdir:    s.WorkingDir,
		User:       s.User,
		Hostname:   s.Hostname,
		Hosts:      hosts,
		Mounts:     mounts,
		Ports:      ports,
		Network:    network(s),
		Ready:      probe(s.HealthCheck),
		DependsOn:  m.dependencies(s),
		StopSignal: s.StopSignal,
	}, nil
}

// environment leaves out what is listed and not set.
func environment(s *types.ServiceConfig) map[string]string {
	if len(s.Environment) == 0 {
		return nil
	}
	out := map[string]string{}
	for k, v := range s.Environment {
		if v != nil {
			out[k] = *v
		}
	}
	return out
}

// network takes Docker's name for the ordinary network as a wish to have one, beside
// the services.
func network(s *types.ServiceConfig) string {
	switch s.NetworkMode {
	case "none":
		return testsuite.NetworkNone
	case "bridge", "default":
		return testsuite.NetworkDefault
	default:
		return ""
	}
}

func limits(s *types.ServiceConfig) (memory int64, cpus float64) {
	memory, cpus = int64(s.MemLimit), float64(s.CPUS)
	if s.Deploy != nil && s.Deploy.Resources.Limits != nil {
		l := s.Deploy.Resources.Limits
		memory, cpus = max(memory, int64(l.MemoryBytes)), max(cpus, float64(l.NanoCPUs.Value()))
	}
	return max(0, memory), max(0, cpus)
}

func (m *mapper) hosts(s *types.ServiceConfig) (map[string]string, error) {
	if len(s.ExtraHosts) == 0 {
		return nil, nil
	}
	out := map[string]string{}
	for name, addresses := range s.ExtraHosts {
		for _, a := range addresses {
			if strings.Trim(a, "[]") == "host-gateway" {
				return nil, m.errorf(s, hintService, "a test cannot reach the host: %s is host-gateway", name)("extra_hosts", name)
			}
		}
		if len(addresses) != 1 {
			return nil, m.errorf(s, "keep one of them", "%s has %d addresses", name, len(addresses))("extra_hosts", name)
		}
		out[name] = strings.Trim(addresses[0], "[]")
	}
	return out, nil
}

func (m *mapper) dependencies(s *types.ServiceConfig) []testsuite.Dependency {
	var out []testsuite.Dependency
	for _, name := range m.doc.order(m.project.Services) {
		if d, ok := s.DependsOn[name]; ok {
			out = append(out, testsuite.Dependency{Service: name, Condition: testsuite.Condition(d.Condition), Optional: !d.Required})
		}
	}
	return out
}
