package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/registry"
)

// resultSchema is the version of the result file's form. It grows when a field
// changes its meaning or goes away, not when one is added.
const resultSchema = 1

// resultDocument is the result file.
type resultDocument struct {
	SchemaVersion int               `json:"schemaVersion"`
	Version       string            `json:"version"`
	Command       string            `json:"command"`
	Started       time.Time         `json:"started"`
	Seconds       float64           `json:"seconds"`
	ExitCode      int               `json:"exitCode"`
	Error         string            `json:"error,omitempty"`
	Builder       *resultBuilder    `json:"builder,omitempty"`
	Builders      []resultBuilder   `json:"builders,omitempty"` // if there are several
	Image         *resultImage      `json:"image,omitempty"`
	Steps         *resultSteps      `json:"steps,omitempty"`
	Phases        []resultPhase     `json:"phases"`
	Tests         []resultTest      `json:"tests"`
	Untested      []string          `json:"untestedPlatforms,omitempty"`
	Signatures    []resultSignature `json:"signatures,omitempty"` // of the result of the tests; of a dry run: that would be there
	References    []resultReference `json:"references"`
	NotMoved      []resultFailure   `json:"notMoved,omitempty"` // tags, when others have moved
	Warnings      []resultWarning   `json:"warnings"`
	Outputs       []resultOutput    `json:"outputs"`
	DryRun        *resultPreview    `json:"dryRun,omitempty"` // what a push would have done
}

type resultBuilder struct {
	Address string `json:"address"`
	Version string `json:"version"`
	Private bool   `json:"private"`
}

type resultImage struct {
	Digest    string `json:"digest"`
	MediaType string `json:"mediaType"`
	Size      int64  `json:"size"`
}

type resultSteps struct {
	Total  int `json:"total"`
	Cached int `json:"cached"`
}

// resultPhase overlaps with others.
type resultPhase struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
}

type resultReference struct {
	Reference string `json:"reference"`
	Digest    string `json:"digest"`
	Moved     bool   `json:"moved"` // false: the tag named this digest before
	// OvertakenBy is what another push has moved the tag on to since.
	OvertakenBy string `json:"overtakenBy,omitempty"`
}

// resultOutput was written. Its destination is - for standard output.
type resultOutput struct {
	Type        string `json:"type"`
	Destination string `json:"destination"`
}

func (m mode) String() string {
	return map[mode]string{modeBuild: "build", modeTest: "test", modeRun: "run", modeCheck: "check", modePush: "push"}[m]
}

func (o *outcome) document() resultDocument {
	doc := resultDocument{
		SchemaVersion: resultSchema, Version: version, Command: o.mode.String(),
		Started: o.started.UTC(), Seconds: o.duration.Seconds(), ExitCode: exitCode(o.err),
		Phases: []resultPhase{}, Tests: []resultTest{}, References: []resultReference{}, Outputs: []resultOutput{},
		Warnings: []resultWarning{},
	}
	if o.err != nil {
		doc.Error = message(o.err)
	}
	for _, b := range o.builders {
		doc.Builders = append(doc.Builders, resultBuilder{Address: b.Addr, Version: b.Version, Private: b.Private})
	}
	switch len(doc.Builders) {
	case 0:
	case 1:
		doc.Builder, doc.Builders = &doc.Builders[0], nil
	default:
		doc.Builder = &doc.Builders[0]
	}
	doc.DryRun = o.preview.document()
	if o.result != nil {
		if total, cached := o.result.Record.Steps(); o.mode != modePush {
			doc.Steps = &resultSteps{total, cached}
		}
		if d := o.result.Descriptor; d.Digest != "" {
			doc.Image = &resultImage{d.Digest.String(), d.MediaType, d.Size}
		}
	}
	for _, p := range o.phases {
		doc.Phases = append(doc.Phases, resultPhase{p.Name, p.Duration.Seconds()})
	}
	if o.report != nil {
		doc.Untested = o.report.Untested
		for _, c := range o.report.Cases {
			doc.Tests = append(doc.Tests, testDocument(c))
		}
	}
	doc.Signatures = o.signed.document()
	for _, p := range o.pushed {
		doc.References = append(doc.References, resultReference{canonical(p.Reference), p.Digest.String(), p.Moved, overtakenBy(p)})
	}
	for _, f := range o.notMoved() {
		doc.NotMoved = append(doc.NotMoved, resultFailure{canonical(f.Reference), message(f.Err), f.Unsure})
	}
	for _, f := range o.warnings() {
		doc.Warnings = append(doc.Warnings, f.document())
	}
	for _, w := range o.wrote {
		doc.Outputs = append(doc.Outputs, resultOutput{w.kind, w.dest})
	}
	return doc
}

// files removes what an earlier run has left in the files that the command line asks
// for, and makes sure that they can be written: afterwards would be too late.
func (p *plan) files(*cli.Context) error {
	if p.mode == modeCheck {
		return nil // it writes none
	}
	for _, path := range []string{p.resultFile, p.metadataFile, p.iidFile, p.junitFile} {
		if path == "" || path == os.DevNull {
			continue
		}
		fi, err := os.Stat(path)
		if err == nil && !fi.Mode().IsRegular() && !fi.IsDir() {
			continue // /dev/stderr, a pipe: not ours to remove
		}
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644)
		if err == nil {
			err = errors.Join(f.Close(), os.Remove(path))
		}
		if err != nil {
			return usagef(directoryHint(err, path), "cannot write a result: %w", err)
		}
	}
	return nil
}

func directoryHint(err error, path string) string {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Sprintf("the directory %s has to be there before", filepath.Dir(path))
	}
	return ""
}

// writeFiles writes the files that the command line asks for. An image's files
// are written only if there is an image, and it passed.
func (p *plan) writeFiles(o *outcome) error {
	var errs []error
	if p.resultFile != "" {
		errs = append(errs, writeJSON(p.resultFile, o.document()))
	}
	if p.junitFile != "" && o.report != nil {
		errs = append(errs, writeJUnit(p.junitFile, o.report.JUnit()))
	}
	if o.err == nil && o.result != nil && o.result.Response != nil {
		if p.metadataFile != "" {
			errs = append(errs, writeJSON(p.metadataFile, o.metadata()))
		}
		if p.iidFile != "" {
			errs = append(errs, writeFile(p.iidFile, []byte(imageID(o.result.Response))))
		}
	}
	return errors.Join(errs...)
}

// imageID is the digest of the configuration where there is one, as in docker.
func imageID(resp map[string]string) string {
	if id := resp[exptypes.ExporterImageConfigDigestKey]; id != "" {
		return id
	}
	return resp[exptypes.ExporterImageDigestKey]
}

func writeJSON(path string, v any) error {
	dt, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return writeFile(path, append(dt, '\n'))
}

func writeFile(path string, dt []byte) error {
	if err := os.WriteFile(path, dt, 0o644); err != nil {
		return fmt.Errorf("writing result: %w", err)
	}
	return nil
}

func overtakenBy(p registry.Pushed) string {
	if p.Overtaken == (v1.Hash{}) {
		return ""
	}
	return p.Overtaken.String()
}
