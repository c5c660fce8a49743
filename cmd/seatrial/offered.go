package main

import (
	"fmt"

	"github.com/moby/buildkit/session/sshforward"
	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/testsuite"
)

// offered sees that the session has what tests and their services mount of it: the
// builder would miss a service's only when the test runs.
func (p *plan) offered(c *cli.Context) error {
	if p.suite == nil {
		return nil
	}
	have := map[testsuite.MountType]func(id string) bool{
		testsuite.MountSecret: p.secrets.has,
		testsuite.MountSSH:    func(id string) bool { return p.hasAgent(c, id) },
	}
	look := func(whose string, mounts []testsuite.Mount) error {
		for _, m := range mounts {
			if has := have[m.Type]; has == nil || m.Optional || has(m.ID) {
				continue
			}
			err := p.notOffered(whose, m)
			if p.mode != modeCheck {
				return err
			}
			p.warned = append(p.warned, findingOf(string(m.Type), err))
		}
		return nil
	}
	for i := range p.suite.Tests {
		t := &p.suite.Tests[i]
		whose := fmt.Sprintf("test %q", t.Title())
		if err := look(whose, t.Mounts); err != nil {
			return err
		}
		for _, s := range t.Services {
			if err := look(fmt.Sprintf("service %q of %s", s.Name, whose), s.Mounts); err != nil {
				return err
			}
		}
	}
	return nil
}

// notOffered is the error, with the line of the file if that has the mount.
func (p *plan) notOffered(whose string, m testsuite.Mount) error {
	id := m.ID
	what, hint := fmt.Sprintf("secret %q", id), fmt.Sprintf("--secret id=%s,src=FILE, or --secret id=%s,env=VARIABLE", id, id)
	if m.Type == testsuite.MountSSH {
		if id == "" {
			id = sshforward.DefaultID
		}
		what, hint = fmt.Sprintf("SSH agent %q", id), fmt.Sprintf("--ssh %s for the agent of SSH_AUTH_SOCK, or --ssh %s=KEYFILE", id, id)
	}
	text := fmt.Sprintf("%s needs the %s, which is not given", whose, what)
	if p.project.file != nil {
		if pos, ok := p.project.file.Mounted(m.Type, p.project.lookup)[m.ID]; ok {
			return fileError(p.project.file.Error(pos, hint+"; or optional: true, if it can do without", text))
		}
	}
	return usagef(hint, "%s", text)
}

func (p *plan) hasAgent(c *cli.Context, id string) bool {
	for _, a := range p.build.Attachables {
		if s, ok := a.(sshforward.SSHServer); ok {
			_, err := s.CheckAgent(c.Context, &sshforward.CheckAgentRequest{ID: id})
			return err == nil
		}
	}
	return false
}
