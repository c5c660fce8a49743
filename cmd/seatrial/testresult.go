package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seatrial/seatrial/registry"
	"github.com/seatrial/seatrial/testsuite"
	"github.com/seatrial/seatrial/testsuite/junit"
)

const (
	statementType = "https://in-toto.io/Statement/v1"
	// oldStatement is what cosign attest writes to this day.
	oldStatement = "https://in-toto.io/Statement/v0.1"
	// testResultType is in-toto's predicate for the result of tests.
	testResultType = "https://in-toto.io/attestation/test-result/v0.1"
	// resultPassed is the result of what was pushed.
	resultPassed = "PASSED"
	// resultFailed is never written here: other tools may.
	resultFailed = "FAILED"

	reportName = "junit.xml"
	reportType = "application/vnd.seatrial.junit+xml"
)

// testResult is the predicate. It has no times, and nothing else that differs when the
// same tests pass on the same image again: the tag would move, with nothing new to say.
type testResult struct {
	Result        string               `json:"result"`
	Configuration []resourceDescriptor `json:"configuration"`
	PassedTests   []string             `json:"passedTests"`
	FailedTests   []string             `json:"failedTests,omitempty"` // none in what is written here
	// Reports is an addition to in-toto's fields.
	Reports []resourceDescriptor `json:"reports,omitempty"`
}

// resourceDescriptor is in-toto's, as far as it is needed.
type resourceDescriptor struct {
	Name      string            `json:"name"`
	MediaType string            `json:"mediaType"`
	Digest    map[string]string `json:"digest"`
	Content   []byte            `json:"content,omitempty"`
}

func describe(name, mediaType string, data []byte) resourceDescriptor {
	sum := sha256.Sum256(data)
	return resourceDescriptor{Name: name, MediaType: mediaType, Digest: map[string]string{"sha256": hex.EncodeToString(sum[:])}}
}

// passedTests is what is attested: the tests that passed, and what their reports say in
// detail.
type passedTests struct {
	names  []string
	report *junit.Report // nil if no test has reported anything
}

// passedOn are the tests that passed on a platform: all, if the image is for one only.
func passedOn(cases []testsuite.Case, platform string) passedTests {
	var p passedTests
	for _, c := range cases {
		if c.Status == testsuite.Passed && (c.Platform == "" || c.Platform == platform) {
			p.names = append(p.names, c.Name)
			p.add(c.Results)
		}
	}
	slices.Sort(p.names)
	p.names = slices.Compact(p.names)
	return p
}

func (p *passedTests) add(rep *junit.Report) {
	if rep == nil {
		return
	}
	if p.report == nil {
		p.report = &junit.Report{}
	}
	p.report.Add(rep)
}

// predicate says what passed. The file is the report, nil if there is none.
func (p passedTests) predicate() (testResult, *registry.StatementFile, error) {
	r := testResult{Result: resultPassed, PassedTests: p.names}
	names, err := json.Marshal(p.names)
	if err != nil {
		return r, nil, err
	}
	// What is a command is known by it, and a stage by the name that the image's
	// own Dockerfile gives it: there is no other configuration.
	tests := describe("tests", "application/json", names)
	tests.Content = names
	r.Configuration = []resourceDescriptor{tests}
	if p.report == nil {
		return r, nil, nil
	}
	var b bytes.Buffer
	if err := junit.Write(&b, timeless(p.report)); err != nil {
		return r, nil, err
	}
	r.Reports = []resourceDescriptor{describe(reportName, reportType, b.Bytes())}
	return r, &registry.StatementFile{Name: reportName, MediaType: reportType, Data: b.Bytes()}, nil
}

// timeless is a report without what differs from run to run: times, what was printed,
// and the order of cases that run side by side.
func timeless(rep *junit.Report) *junit.Report {
	out := &junit.Report{}
	for _, s := range rep.Suites {
		suite := junit.Suite{Name: s.Name}
		for _, c := range s.Cases {
			suite.Cases = append(suite.Cases, junit.Case{Name: c.Name, Class: c.Class, File: c.File, Line: c.Line, Status: c.Status})
		}
		slices.SortFunc(suite.Cases, func(a, b junit.Case) int {
			return cmp.Or(strings.Compare(a.Class, b.Class), strings.Compare(a.Name, b.Name), strings.Compare(a.File, b.File), a.Line-b.Line, strings.Compare(string(a.Status), string(b.Status)))
		})
		out.Suites = append(out.Suites, suite)
	}
	slices.SortStableFunc(out.Suites, func(a, b junit.Suite) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// statement is in-toto's. The Go types that in-toto has are generated for protobuf, or
// deprecated.
type statement struct {
	Type          string     `json:"_type"`
	Subject       []subject  `json:"subject"`
	PredicateType string     `json:"predicateType"`
	Predicate     testResult `json:"predicate"`
}

type subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// statementOf says that the tests passed on images.
func statementOf(predicate testResult, images ...v1.Hash) ([]byte, error) {
	s := statement{Type: statementType, PredicateType: testResultType, Predicate: predicate}
	for _, digest := range images {
		// BuildKit calls a subject so that has no name. With one, the same
		// image under two names would be two.
		s.Subject = append(s.Subject, subject{"_", map[string]string{digest.Algorithm: digest.Hex}})
	}
	return json.Marshal(s)
}

// testStatements say of each image of the artifact that was tested which tests passed
// on it.
func testStatements(a registry.Artifact, cases []testsuite.Case) ([]registry.Statement, error) {
	parts, err := registry.Parts(a)
	if err != nil {
		return nil, err
	}
	var out []registry.Statement
	for _, part := range parts {
		passed := passedOn(cases, platformName(part.Platform))
		if len(passed.names) == 0 {
			continue
		}
		predicate, file, err := passed.predicate()
		if err != nil {
			return nil, err
		}
		s := registry.Statement{Image: part.Digest, PredicateType: testResultType}
		if s.JSON, err = statementOf(predicate, part.Digest); err != nil {
			return nil, err
		}
		if file != nil {
			s.Files = []registry.StatementFile{*file}
		}
		out = append(out, s)
	}
	return out, nil
}

// platformName is a platform as tests name it.
func platformName(p v1.Platform) string {
	return platforms.Format(platforms.Normalize(ocispecs.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant, OSVersion: p.OSVersion}))
}
