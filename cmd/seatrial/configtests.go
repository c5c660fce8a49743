package main

import (
	"maps"

	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/testsuite/compose"
)

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
		if t.File != "" { // what it may be is known when the image has names
			pr.testFiles = append(pr.testFiles, t)
			continue
		}
		p.suite.Tests = append(p.suite.Tests, t.Test)
		pr.tests = append(pr.tests, t.Pos)
	}
	maps.Copy(pr.stages, pr.file.Stages(pr.lookup))
	return nil
}

// declaredFiles adds the tests of the files that the file names, with what it says of them.
func (p *plan) declaredFiles(c *cli.Context, opt compose.Options) error {
	for _, t := range p.project.testFiles {
		before := len(p.suite.Tests)
		if err := p.testFile(c, t.File, opt); err != nil {
			return err
		}
		for i := range p.suite.Tests[before:] {
			added := &p.suite.Tests[before+i]
			if t.Name != "" {
				added.Name = t.Name
			}
			added.Reports, added.Timeout, added.Retries = t.Reports, t.Timeout, t.Retries
			p.project.tests = append(p.project.tests, t.Pos)
		}
	}
	return nil
}
