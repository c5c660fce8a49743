package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seatrial/seatrial/registry"
	"github.com/seatrial/seatrial/testsuite/junit"
)

// shownTests is how many of the known names an error lists.
const shownTests = 10

// knownTests are the names by which tests of an image can be required: of its tests,
// all of which passed, and of what their reports list.
type knownTests struct {
	tests    []string
	cases    []junitCase
	complete bool // cases were read
}

// junitCase is a case of a report with what it may be called.
type junitCase struct {
	status junit.Status
	names  []string // the first is the one to list
}

// onPlatform is the name of a test without the image's platform, which the summary puts
// after it where there are several. It is false if the name has the platform of another
// image.
func onPlatform(want string, image registry.AttestedImage, of []registry.AttestedImage) (string, bool) {
	for _, other := range of {
		if name, ok := strings.CutSuffix(want, " ("+platformName(other.Platform)+")"); ok {
			return name, other.Digest == image.Digest
		}
	}
	return want, true
}

// read reads the reports that the image's statements speak of. One that is not there
// names no case; the statement has its digest.
func (k *knownTests) read(ctx context.Context, reader *registry.Reader, image registry.AttestedImage) error {
	if k.complete {
		return nil
	}
	k.complete = true
	for _, data := range image.Statements {
		if len(saidIn(data, image.Digest).passed) == 0 {
			continue
		}
		var s statement
		if err := json.Unmarshal(data, &s); err != nil {
			return err
		}
		for _, r := range s.Predicate.Reports {
			dt, err := reader.File(ctx, image, v1.Hash{Algorithm: "sha256", Hex: r.Digest["sha256"]})
			if err != nil {
				return err
			}
			if rep, err := junit.Parse(bytes.NewReader(dt)); err == nil && len(dt) > 0 {
				k.add(rep)
			}
		}
	}
	return nil
}

func (k *knownTests) add(rep *junit.Report) {
	for _, s := range rep.Suites {
		for _, c := range s.Cases {
			plain := c
			plain.File = ""
			one := junitCase{status: c.Status, names: []string{s.Name + "/" + c.Name, caseName(c), caseName(plain), c.Name}}
			if c.Class != "" {
				one.names = append(one.names, c.Class+"/"+c.Name, c.Class+"."+c.Name)
			}
			k.cases = append(k.cases, one)
		}
	}
}

// missingTestError says that a test that is required did not pass, as far as is known.
type missingTestError struct{ err error }

func (e *missingTestError) Error() string { return e.err.Error() }

// check is an error if no test and no case is called so, or one that is did not pass.
func (k *knownTests) check(want string) error {
	if slices.Contains(k.tests, want) {
		return nil
	}
	found := false
	for _, c := range k.cases {
		if !slices.Contains(c.names, want) {
			continue
		}
		if found = true; c.status != junit.Passed {
			return fmt.Errorf("%q is not among the tests that passed: it was %s", want, c.status)
		}
	}
	if found {
		return nil
	}
	return &missingTestError{fmt.Errorf("%q is not among the tests that passed: %s", want, k.nearest(want))}
}

// nearest lists the names that passed, those first that are most like the one that is
// wanted.
func (k *knownTests) nearest(want string) string {
	names := slices.Clone(k.tests)
	for _, c := range k.cases {
		if c.status == junit.Passed {
			names = append(names, c.names[0])
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(unlike(a, want), unlike(b, want)) })
	return listed(names)
}

// unlike is how many letters differ. A report may have cases by the thousand, with
// names of any length.
func unlike(a, b string) int {
	const enough = 100
	a, b = a[:min(len(a), enough)], b[:min(len(b), enough)]
	return levenshtein.Distance(strings.ToLower(a), strings.ToLower(b), nil)
}
