package main

import (
	"fmt"
	"maps"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/cmd/internal/config"
	"github.com/seatrial/seatrial/testsuite"
)

// declared is where a test of the suite comes from, and what it gets from there.
type declared struct {
	from origin
	file string     // that says what the test does; "" if it does so itself
	pos  config.Pos // where seatrial.yaml names the file; zero if it does not
}

// declare adds a test to the suite, which tests of files are completed in later: they
// want to know the image's names.
func (p *plan) declare(t testsuite.Test, d declared) {
	if d.file != "" {
		t.Start = &testsuite.Start{}
	}
	p.suite.Tests = append(p.suite.Tests, t)
	p.declared = append(p.declared, d)
}

// commandTests are those that the command line or the environment names.
func (p *plan) commandTests(c *cli.Context) error {
	given := p.project.given
	for _, stage := range c.StringSlice("test-stage") {
		p.declare(testsuite.Test{Stage: stage}, declared{from: given["test-stage"]})
	}
	for _, cmd := range c.StringSlice("test") {
		if strings.TrimSpace(cmd) == "" {
			return usagef("", "--test is empty")
		}
		p.declare(testsuite.Test{Command: cmd}, declared{from: given["test"]})
	}
	for _, file := range c.StringSlice("test-file") {
		p.declare(testsuite.Test{}, declared{from: given["test-file"], file: file})
	}
	return nil
}

// fileTests are the tests of the file, unless the command line or the environment
// names others.
func (p *plan) fileTests() error {
	pr := p.project
	if pr.file == nil || len(p.suite.Tests) > 0 {
		return nil
	}
	list, err := pr.file.Suite(pr.lookup)
	if err != nil {
		return fileError(err)
	}
	for _, t := range list {
		p.declare(t.Test, declared{from: pr.at(t.Pos), file: t.File, pos: t.FilePos})
	}
	for _, s := range pr.file.Unused() {
		e := pr.file.Error(s.At, "", fmt.Sprintf("no test has the service %q", s.Name))
		p.warned = append(p.warned, finding{message: e.Error(), fix: fmt.Sprintf("a test starts it with services: [%s]", s.Name), source: lineOf(e)})
	}
	for _, pos := range pr.file.ServiceSizes() {
		e := pr.file.Error(pos, "", "a service's tmpfs has no size here: BuildKit knows one for tests alone")
		p.warned = append(p.warned, finding{message: e.Error(), source: lineOf(e)})
	}
	maps.Copy(pr.stages, pr.file.Stages(pr.lookup))
	return nil
}
