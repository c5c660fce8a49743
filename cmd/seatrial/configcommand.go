package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"go.yaml.in/yaml/v4"

	"github.com/seatrial/seatrial/cmd/internal/buildkitd"
	"github.com/seatrial/seatrial/cmd/internal/config"
	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/testsuite"
)

const configName = "config"

func configCommand(std Streams) *cli.Command {
	return &cli.Command{
		Name: configName, Usage: "print what a run would do, and where each value comes from", ArgsUsage: contextUsage,
		Description: "Takes the flags of check, reads seatrial.yaml and the Dockerfile, asks no builder and\n" +
			"no registry, and prints the settings as seatrial.yaml has them. Values of secrets are\n" +
			"not shown, nor those of variables whose names look like secrets.",
		Flags: slices.Concat(destinationFlags("that a run would push to", "is left out: nothing is pushed"), buildFlags(), imageFlags(), testFlags(),
			[]cli.Flag{boolFlag(catTest, "untested", "no tests are needed"), signFlag()}, builderFlags(), []cli.Flag{
				&cli.StringFlag{Category: catOutput, Name: "format", Usage: "`FORMAT` of the settings: yaml or json", Value: "yaml", EnvVars: env("format")},
			}, slices.DeleteFunc(outputFlags(), func(f cli.Flag) bool { return !slices.Contains(reportFlags, f.Names()[0]) })),
		Action: func(c *cli.Context) error { return printConfig(c, std.Out) },
	}
}

// reportFlags are those of outputFlags that a file can set.
var reportFlags = []string{"junit", "report-dir", "result-file", "metadata-file", "iidfile"}

// setting is a value of the plan: under a key, or an item of the list there.
type setting struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
	From  origin `json:"from"`
	list  bool
}

func printConfig(c *cli.Context, w io.Writer) error {
	format := c.String("format")
	if format != "yaml" && format != "json" {
		return usagef("", "--format %q is not one of yaml, json", format)
	}
	p, err := newPlan(c, modeCheck)
	if err != nil {
		return err
	}
	list, err := p.settings(c)
	if err := errors.Join(err, p.build.Source.Close()); err != nil {
		return err
	}
	if format == "json" {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		doc, err := p.project.forJSON(list)
		return errors.Join(err, enc.Encode(doc))
	}
	// In a long line that is not folded the comment stays beside its value.
	out, err := yaml.Dump(p.project.hidden(tree(list)), yaml.WithV3Defaults(), yaml.WithIndent(2), yaml.WithLineWidth(-1))
	if err != nil {
		return err
	}
	_, err = w.Write(out)
	return err
}

// forJSON gives values the form that they have in a file.
func (pr *project) forJSON(list []setting) (any, error) {
	for i := range list {
		if err := pr.hidden(nodeOf(reflect.ValueOf(list[i].Value))).Decode(&list[i].Value); err != nil {
			return nil, fmt.Errorf("printing %s: %w", list[i].Key, err)
		}
	}
	return map[string]any{"schemaVersion": 1, "settings": list}, nil
}

// settings are all of the plan that a file can say.
func (p *plan) settings(c *cli.Context) ([]setting, error) {
	var out []setting
	for _, key := range config.Keys() {
		if !c.IsSet(key.Flag) {
			out = append(out, p.unset(key)...)
			continue
		}
		list := isList(flagOf(c, key.Flag))
		for _, v := range valuesOf(c, key.Flag) {
			s := setting{Key: key.Name, Value: shown(key.Flag, v), From: p.project.origin(key.Flag, v), list: list}
			switch v := c.Value(key.Flag).(type) {
			case bool, int:
				s.Value = v
			}
			out = append(out, s)
		}
	}
	tests, err := p.shownTests()
	return append(out, tests...), err
}

// unset is what takes the place of a flag that nothing sets.
func (p *plan) unset(key config.Key) []setting {
	one := func(value, kind, variable string) []setting {
		return []setting{{Key: key.Name, Value: value, From: origin{Kind: kind, Variable: variable}, list: key.Flag == "addr"}}
	}
	switch key.Flag {
	case "tag":
		var out []setting
		for _, name := range namesFromEnv(os.Getenv) {
			out = append(out, setting{Key: key.Name, Value: name, From: origin{Kind: "environment", Variable: "REGISTRY, ACCOUNT, IMAGE, TAG"}, list: true})
		}
		return out
	case "file":
		if src := p.build.Source; src != nil {
			return one("Dockerfile", "default", "")
		}
	case "compression":
		return one("gzip", "default", "")
	case "addr":
		if host := os.Getenv("BUILDKIT_HOST"); host != "" {
			return one(llb.RedactURLs(host), "environment", "BUILDKIT_HOST")
		}
		return one(buildkitd.Auto, "default", "")
	}
	return nil
}

// shown is a flag's value without what should not be seen.
func shown(flag, value string) string {
	name, _, ok := strings.Cut(value, "=")
	secret := ok && (flag == "build-arg" || flag == "label" || flag == "annotation") && secretName.MatchString(name)
	if secret {
		return name + "=" + mask
	}
	// What caches take has credentials in some of its fields; elsewhere a key is a file.
	fields := strings.Split(value, ",")
	for i, field := range fields {
		if key, _, ok := strings.Cut(field, "="); ok && flag != "ssh" && flag != "sign" && secretName.MatchString(key) {
			fields[i] = key + "=" + mask
		}
	}
	return llb.RedactURLs(strings.Join(fields, ","))
}

// shownTests are the tests, those that a stage's name makes too.
func (p *plan) shownTests() ([]setting, error) {
	if p.suite == nil {
		return nil, nil
	}
	if src := p.build.Source; src != nil {
		have, err := src.Stages()
		if err != nil {
			return nil, &buildError{err: err}
		}
		if _, err := p.stages(p.suite, have); err != nil && !errors.Is(err, testsuite.ErrNoTests) {
			return nil, err
		}
	}
	var out []setting
	detected := len(p.suite.Tests) - len(p.declared) // they come first
	for i, t := range p.suite.Tests {
		from := declared{from: origin{Kind: "detection"}}
		if i >= detected {
			from = p.declared[i-detected]
		}
		s := setting{Key: "tests", Value: t, From: from.from, list: true}
		if from.file != "" {
			s.Value = fileTest{t.Name, from.file, t.Reports, t.Timeout, t.Retries}
		}
		out = append(out, s)
	}
	return out, nil
}

// fileTest is what is shown of a test whose file says what it does.
type fileTest struct {
	Name, File string
	Reports    []string
	Timeout    time.Duration
	Retries    int
}
