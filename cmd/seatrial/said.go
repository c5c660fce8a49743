package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seatrial/seatrial/registry"
)

// said is what statements say of an image.
type said struct {
	passed []string // tests
	failed []string // what they say failed, if only beside a result that is another
}

// saidIn is what a statement says of an image: nothing if it is about something else.
func saidIn(data []byte, image v1.Hash) said {
	var s statement
	if json.Unmarshal(data, &s) != nil || s.PredicateType != testResultType {
		return said{}
	}
	if s.Type != statementType && s.Type != oldStatement || !slices.ContainsFunc(s.Subject, func(sub subject) bool { return sub.Digest[image.Algorithm] == image.Hex }) {
		return said{}
	}
	switch s.Predicate.Result {
	case resultPassed:
		return said{passed: s.Predicate.PassedTests, failed: s.Predicate.FailedTests}
	case resultFailed:
		if len(s.Predicate.FailedTests) == 0 {
			return said{failed: []string{"a test without a name"}}
		}
		return said{failed: s.Predicate.FailedTests}
	}
	return said{}
}

// saidOf is what all statements of an image say of it.
func saidOf(image registry.AttestedImage) said {
	var all said
	for _, data := range image.Statements {
		one := saidIn(data, image.Digest)
		all.passed, all.failed = append(all.passed, one.passed...), append(all.failed, one.failed...)
	}
	for _, names := range []*[]string{&all.passed, &all.failed} {
		slices.Sort(*names)
		*names = slices.Compact(*names)
	}
	return all
}

// saidToFail are tests of which a statement that counts says that they failed.
type saidToFail struct{ tests []string }

func (e *saidToFail) Error() string { return listed(e.tests) + " failed" }

// listed are the first of some names.
func listed(names []string) string {
	lines := make([]string, len(names))
	for i, name := range names {
		lines[i] = onLine(name)
	}
	names = lines
	if more := len(names) - shownTests; more > 0 {
		return strings.Join(names[:shownTests], ", ") + fmt.Sprintf(", and %d more", more)
	}
	return strings.Join(names, ", ")
}

// onLine is a name on one line: whoever may push could write one that goes on as the next
// line of the output.
func onLine(name string) string { return strings.Join(strings.Fields(sanitize(name)), " ") }
