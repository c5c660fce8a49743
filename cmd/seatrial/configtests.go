package main

import (
	"maps"
	"reflect"

	"github.com/seatrial/seatrial/cmd/internal/config"
	"github.com/seatrial/seatrial/testsuite"
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
			return fileError(pr.file.Error(t.Pos, "name, run and stage are what there is", "this seatrial cannot run such a test yet"))
		}
		p.suite.Tests = append(p.suite.Tests, t.Test)
		pr.tests = append(pr.tests, t.Pos)
	}
	maps.Copy(pr.stages, pr.file.Stages(pr.lookup))
	return nil
}

// runnable tells whether the suite can do all that a test says.
func runnable(t config.Declared) bool {
	known := testsuite.Test{Name: t.Name, Stage: t.Stage, Command: t.Command}
	return t.File == "" && reflect.DeepEqual(t.Test, known)
}
