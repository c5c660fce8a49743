package main

import (
	"maps"

	"github.com/seatrial/seatrial/cmd/internal/config"
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
		if !runnable(t) {
			return fileError(pr.file.Error(t.Pos, "name the file with --test-file", "this seatrial cannot run such a test yet"))
		}
		p.suite.Tests = append(p.suite.Tests, t.Test)
		pr.tests = append(pr.tests, t.Pos)
	}
	maps.Copy(pr.stages, pr.file.Stages(pr.lookup))
	return nil
}

// runnable tells whether the suite can do all that a test says.
func runnable(t config.Declared) bool {
	return t.File == "" && t.Test.Start == nil && t.Test.Hostname == "" && t.Test.Platform == ""
}
