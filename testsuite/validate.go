package testsuite

import (
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// hostName is what a service may be called. Underscores are Compose's habit.
var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$`)

// maxServices is how many addresses there are for those of one test.
const maxServices = 200

// Validate tells what cannot be meant in the services of the tests, without any
// daemon. Its error names the test, the service and what is wrong.
func (s *Suite) Validate() error {
	if err := (Test{Forwards: s.Default.Forwards}).validate(); err != nil {
		return err
	}
	for _, t := range s.Tests {
		if err := t.orElse(s.Default).validate(); err != nil {
			return fmt.Errorf("test %q: %w", display(t.name()), err)
		}
	}
	return nil
}

func (t Test) validate() error {
	if t.Stage != "" && len(t.Services) > 0 {
		return fmt.Errorf("a stage of the Dockerfile cannot have services, a command can: %q", t.Services[0].Name)
	}
	if len(t.Split) > 0 && t.Shards < 2 {
		return fmt.Errorf("files are shared out among shards, of which it has none: %q", t.Split)
	}
	if len(t.Services) > maxServices {
		return fmt.Errorf("it has %d services, at most %d are possible", len(t.Services), maxServices)
	}
	if err := validateHosts(t.Hosts); err != nil {
		return err
	}
	names := map[string]string{} // whose each is
	for _, v := range t.Services {
		if err := v.validate(names); err != nil {
			return fmt.Errorf("service %q: %w", v.Name, err)
		}
	}
	for _, f := range t.Forwards {
		if err := f.validate(names); err != nil {
			return fmt.Errorf("forward %s=%s: %w", f.Name, f.Address, err)
		}
	}
	return t.validateDependencies()
}

// claim makes a name that of a service.
func claim(names map[string]string, name, owner string) error {
	if !hostName.MatchString(name) || strings.EqualFold(name, "localhost") || net.ParseIP(name) != nil {
		return fmt.Errorf("%q is no host name for it: letters, digits, hyphens and dots are", name)
	}
	key := strings.ToLower(name)
	if other, ok := names[key]; ok {
		return fmt.Errorf("the name %q is that of %s already", name, other)
	}
	names[key] = owner
	return nil
}

func (v Service) validate(names map[string]string) error {
	for _, name := range append([]string{v.Name}, v.Aliases...) {
		if err := claim(names, name, fmt.Sprintf("service %q", v.Name)); err != nil {
			return err
		}
	}
	switch {
	case v.From.Context:
		return fmt.Errorf("it runs in no image and no stage: the build context is no root filesystem")
	case v.Shell != "" && (len(v.Entrypoint) > 0 || len(v.Args) > 0):
		return fmt.Errorf("it has a command for the shell, and another one")
	case v.Network != "" && v.Network != NetworkNone && v.Network != NetworkDefault:
		return fmt.Errorf("network %q: a service knows %s and %s", v.Network, NetworkNone, NetworkDefault)
	}
	for _, port := range v.Ports {
		if port < 1 || port > 65535 {
			return fmt.Errorf("port %d: not between 1 and 65535", port)
		}
	}
	if err := validateHosts(v.Hosts); err != nil {
		return err
	}
	if v.StopSignal != "" && signalOf(v.StopSignal) == 0 {
		return fmt.Errorf("stop signal %q: not known", v.StopSignal)
	}
	if v.Ready == nil {
		return nil
	}
	if err := v.Ready.validate(); err != nil {
		return fmt.Errorf("readiness: %w", err)
	}
	return nil
}

func validateHosts(hosts map[string]string) error {
	for _, name := range sortedKeys(hosts) {
		if net.ParseIP(hosts[name]) == nil {
			return fmt.Errorf("host %q: %q is no IP address", name, hosts[name])
		}
	}
	return nil
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

func (p *Probe) validate() error {
	set := 0
	for _, is := range []bool{len(p.Test) > 0, p.Port != 0, p.Log != ""} {
		if is {
			set++
		}
	}
	if set > 1 {
		return fmt.Errorf("a command, a port and a line of the log: one of them tells, not several")
	}
	if p.Port < 0 || p.Port > 65535 {
		return fmt.Errorf("port %d: not between 1 and 65535", p.Port)
	}
	if _, err := regexp.Compile(p.Log); err != nil {
		return fmt.Errorf("log: %w", err)
	}
	if p.Interval < 0 || p.Timeout < 0 || p.StartPeriod < 0 || p.StartInterval < 0 || p.Retries < 0 {
		return fmt.Errorf("a time or count is negative")
	}
	if len(p.Test) == 0 {
		return nil
	}
	switch kind, rest := p.Test[0], len(p.Test)-1; {
	case kind == "NONE" && rest == 0, kind == "CMD" && rest > 0, kind == "CMD-SHELL" && rest == 1:
		return nil
	default:
		return fmt.Errorf("%q: it is NONE, CMD with arguments, or CMD-SHELL with one command", p.Test)
	}
}

func (f Forward) validate(names map[string]string) error {
	host, port, err := net.SplitHostPort(f.Address)
	if err != nil || host == "" || strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("%q is not HOST:PORT", f.Address)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("port %q: not between 1 and 65535", port)
	}
	own := fmt.Sprintf("forward %s:%s", strings.ToLower(f.Name), port)
	if other := names[strings.ToLower(f.Name)]; strings.HasPrefix(other, "forward ") {
		if _, twice := names[own]; twice {
			return fmt.Errorf("there are two for port %s of %q", port, f.Name)
		}
		names[own] = own
		return nil // one more port of the same host
	}
	names[own] = own
	return claim(names, f.Name, own)
}

// validateDependencies looks for services that are not there, and circles.
func (t Test) validateDependencies() error {
	by := map[string]Service{}
	for _, v := range t.Services {
		by[v.Name] = v
	}
	if err := known(t.DependsOn, by); err != nil {
		return err
	}
	for _, v := range t.Services {
		if err := known(v.DependsOn, by); err != nil {
			return fmt.Errorf("service %q: %w", v.Name, err)
		}
	}
	done := map[string]bool{}
	var visit func(name string, above []string) error
	visit = func(name string, above []string) error {
		if i := slices.Index(above, name); i >= 0 {
			return fmt.Errorf("services wait for each other: %s", strings.Join(append(above[i:], name), " -> "))
		}
		if done[name] {
			return nil
		}
		for _, dep := range by[name].DependsOn {
			if err := visit(dep.Service, append(slices.Clone(above), name)); err != nil {
				return err
			}
		}
		done[name] = true
		return nil
	}
	for _, v := range t.Services {
		if err := visit(v.Name, nil); err != nil {
			return err
		}
	}
	return nil
}

func known(deps []Dependency, by map[string]Service) error {
	for _, dep := range deps {
		if _, ok := by[dep.Service]; !ok && !dep.Optional {
			return fmt.Errorf("it waits for %q, which is no service of the test", dep.Service)
		}
		switch dep.Condition {
		case "", Started, Healthy, Completed:
		default:
			return fmt.Errorf("it waits for %q to be %q: %s, %s and %s are known", dep.Service, dep.Condition, Started, Healthy, Completed)
		}
	}
	return nil
}
