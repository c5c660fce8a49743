package compose

import (
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/seatrial/seatrial/testsuite"
)

// alias is another name of a service, and where the file gives it.
type alias struct {
	name, service string
	path          []string
}

// aliases gives the services the names that networks, links and container_name add.
// One network holds all, so that a name can be one service's alone.
func (m *mapper) aliases() error {
	services := m.out.Test.Services
	for _, s := range services {
		m.names[s.Name] = s.Name
	}
	for _, a := range m.given() {
		i := slices.IndexFunc(services, func(s testsuite.Service) bool { return s.Name == a.service })
		owner, taken := m.names[a.name]
		switch {
		case i < 0 || taken && owner == a.service:
		case taken:
			return m.doc.errorf(a.path, "give one of them another name", "both %s and %s are to be called %s", owner, a.service, a.name)
		default:
			m.names[a.name] = a.service
			services[i].Aliases = append(services[i].Aliases, a.name)
		}
	}
	return nil
}

// given are all additional names, in the order of the file.
func (m *mapper) given() []alias {
	var out []alias
	for _, name := range m.doc.order(m.project.Services) {
		s := m.project.Services[name]
		if s.ContainerName != "" {
			out = append(out, alias{s.ContainerName, name, []string{"services", name, "container_name"}})
		}
		for _, network := range s.NetworksByPriority() {
			if s.Networks[network] == nil {
				continue
			}
			for _, a := range s.Networks[network].Aliases {
				out = append(out, alias{a, name, []string{"services", name, "networks", network, "aliases", a}})
			}
		}
		for _, link := range s.Links {
			if other, a, ok := strings.Cut(link, ":"); ok {
				out = append(out, alias{a, other, []string{"services", name, "links", link}})
			}
		}
	}
	return out
}

// mostPorts is for ranges: each port is a listener of its own.
const mostPorts = 256

// ports are those that a service listens on: the host's, if the file publishes any,
// stay as they are.
func (m *mapper) ports(s *types.ServiceConfig) ([]int, error) {
	var out []int
	for i, p := range s.Ports {
		if p.Protocol != "" && p.Protocol != "tcp" {
			m.warn(s, "ports", "port "+strconv.Itoa(int(p.Target))+"/"+p.Protocol+" of "+s.Name+" cannot be reached: TCP alone is forwarded")
			continue
		}
		if p.Target == 0 {
			return nil, m.errorf(s, "a port looks like 8080 or 80:8080", "a port has no number")("ports", index(i))
		}
		out = append(out, int(p.Target))
	}
	for _, e := range s.Expose {
		text, proto, _ := strings.Cut(e, "/")
		if proto != "" && proto != "tcp" {
			m.warn(s, "expose", "port "+e+" of "+s.Name+" cannot be reached: TCP alone is forwarded")
			continue
		}
		first, last, ok := strings.Cut(text, "-")
		if !ok {
			last = first
		}
		a, errA := strconv.ParseUint(first, 10, 16)
		b, errB := strconv.ParseUint(last, 10, 16)
		if errA != nil || errB != nil || a == 0 || b < a {
			return nil, m.errorf(s, "a port looks like 8080 or 8080-8090", "expose: %q is no port", e)("expose", e)
		}
		for ; a <= b && len(out) <= mostPorts; a++ {
			out = append(out, int(a))
		}
	}
	sort.Ints(out)
	if out = slices.Compact(out); len(out) > mostPorts {
		return nil, m.errorf(s, "name those that the test uses", "%s has more than %d ports", s.Name, mostPorts)("expose")
	}
	return out, nil
}
