package config

import (
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Service is a container beside a test.
type Service struct {
	At         Pos
	Name       Text           `key:"name" doc:"Host name of a service that is inside of a test; elsewhere the key is the name."`
	From       ServiceFrom    `key:"from" doc:"built: the image under test."`
	Stage      Stage          `key:"stage" doc:"Stage of the Dockerfile that it runs in."`
	Image      Text           `key:"image" doc:"Reference of the image that it runs in."`
	Platform   Text           `key:"platform" doc:"Platform of the image, as linux/arm64; default: that of the image under test."`
	Aliases    List           `key:"aliases" doc:"More host names."`
	Entrypoint Args           `key:"entrypoint" doc:"Replaces the image's; [] clears it."`
	Args       Args           `key:"args" doc:"Replaces the image's command."`
	Run        Plain          `key:"run" doc:"Command for the image's shell, instead of entrypoint and command."`
	Env        Pairs          `key:"env" doc:"Added to the image's environment; a name alone takes the value that seatrial has."`
	Workdir    Text           `key:"workdir" doc:"Working directory; default: the image's."`
	User       Text           `key:"user" doc:"User; default: the image's."`
	Hostname   Text           `key:"hostname" doc:"What the service calls itself; default: its name."`
	ExtraHosts Pairs          `key:"extra-hosts" doc:"More names that the service knows: NAME: IP."`
	Mounts     []Mount        `key:"mounts" doc:"What the service sees beside its image."`
	Ports      []Int          `key:"ports" doc:"Where it listens, beside the ports that its image exposes."`
	Network    ServiceNetwork `key:"network" doc:"none, the default: test and services alone; default: the builder's, too."`
	Ready      *Probe         `key:"ready" doc:"When it can be used; default: the image's HEALTHCHECK, an open port, or that it runs."`
	DependsOn  Dependencies   `key:"depends-on" doc:"Services that it waits for: names, or NAME: CONDITION."`
	StopSignal Text           `key:"stop-signal" doc:"Signal that ends it; default: the image's, or SIGTERM."`
}

// Probe tells whether a service is ready.
type Probe struct {
	At            Pos
	Test          HealthTest `key:"test" doc:"A command for the service's shell, or a list as in Docker's health checks: CMD, CMD-SHELL, NONE."`
	Port          Int        `key:"port" doc:"Port that must accept connections."`
	Log           Plain      `key:"log" doc:"Regular expression that a line of the output must match."`
	Interval      Duration   `key:"interval" doc:"Time between probes."`
	Timeout       Duration   `key:"timeout" doc:"How long one probe may take."`
	StartPeriod   Duration   `key:"start-period" doc:"For how long failures do not count."`
	StartInterval Duration   `key:"start-interval" doc:"Time between probes until the first success."`
	Retries       Int        `key:"retries" doc:"How many failures in a row make the service unhealthy."`
}

// HealthTest is a command for a shell, or a list as Docker has it.
type HealthTest struct{ Args }

func (h *HealthTest) decode(d *decoder, n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		var p Plain
		if err := p.decode(d, n); err != nil {
			return err
		}
		h.Pos, h.list = p.Pos, []Plain{{p.Pos, "CMD-SHELL"}, p}
		return nil
	}
	if err := h.Args.decode(d, n); err != nil {
		return err
	}
	if words := []string{"CMD", "CMD-SHELL", "NONE"}; len(h.list) == 0 || !slices.Contains(words, h.list[0].text) {
		return d.errorf(h.Pos, "", "a health check begins with one of %s", strings.Join(words, ", "))
	}
	return nil
}

// check implements checked.
func (p *Probe) check(d *decoder) error {
	if count(p.Test.set(), p.Port.set(), p.Log.set()) > 1 {
		return d.errorf(p.At, "", "a service is ready by one of test, port and log")
	}
	if _, err := regexp.Compile(p.Log.text); err != nil {
		return d.errorf(p.Log.Pos, "", "no regular expression: %s", err)
	}
	return nil
}

// check implements checked.
func (s *Service) check(d *decoder) error {
	switch n := count(s.From.set(), s.Stage.set(), s.Image.set()); {
	case n == 0:
		return d.errorf(s.At, "image: REFERENCE, stage: NAME, or from: built for the image under test", "a service without image or stage")
	case n > 1:
		return d.errorf(s.At, "", "a service runs in one of image, stage and from")
	case s.Run.set() && (s.Args.set() || s.Entrypoint.set()):
		return d.errorf(s.Run.Pos, "", "run takes the place of entrypoint and args")
	}
	return nil
}

// ServiceRef is the name of a service, or a service.
type ServiceRef struct {
	At      Pos
	Ref     Text
	Service *Service
}

func (r *ServiceRef) decode(d *decoder, n *yaml.Node) error {
	r.At = posOf(n)
	if n.Kind == yaml.ScalarNode {
		return r.Ref.decode(d, n)
	}
	r.Service = &Service{}
	if err := d.object(n, r.Service); err != nil {
		return err
	}
	if !r.Service.Name.set() || r.Service.Name.raw == "" {
		return d.errorf(r.At, "", "a service inside of a test has a name")
	}
	return nil
}

// Dependencies are names, or NAME: CONDITION, or NAME: {condition, optional}.
type Dependencies struct{ items []Entry[Dependency] }

// Dependency is a service that is waited for.
type Dependency struct {
	Condition Condition `key:"condition" doc:"service_started, service_healthy (the default) or service_completed_successfully."`
	Optional  Bool      `key:"optional" doc:"Allow the service not to be there."`
}

func (dep *Dependency) decode(d *decoder, n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		return dep.Condition.decode(d, n)
	}
	return d.object(n, dep)
}

func (l *Dependencies) decode(d *decoder, n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode {
		return (*Map[Dependency])(&l.items).decode(d, n)
	}
	for _, item := range n.Content {
		var t Text
		if err := t.decode(d, item); err != nil {
			return err
		}
		l.items = append(l.items, Entry[Dependency]{Name: t.raw, At: t.Pos})
	}
	return nil
}
