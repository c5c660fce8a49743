package main

import (
	"path"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/testsuite"
)

// tests makes the suite of what the command line says of tests.
func (p *plan) tests(c *cli.Context) error {
	// What an earlier run brought back is no part of the context for any command.
	p.build.Hidden = defaultReportDir
	if p.mode == modeBuild || p.mode == modeShell || c.Bool("untested") {
		if len(c.StringSlice("test"))+len(c.StringSlice("test-stage"))+len(c.StringSlice("test-file")) > 0 {
			return usagef("", "--untested contradicts --test, --test-stage and --test-file")
		}
		return nil
	}
	p.suite = &testsuite.Suite{Target: p.build.Target}
	if err := p.testPlatforms(c.StringSlice("test-platform")); err != nil {
		return err
	}
	if err := p.commandTests(c); err != nil {
		return err
	}
	if err := p.fileTests(); err != nil || p.mode == modeCheck {
		return err
	}
	return p.testSettings(c)
}

// testSettings are how the tests are run, and what becomes of their files.
func (p *plan) testSettings(c *cli.Context) error {
	s := p.suite
	s.ReportDir = c.String("report-dir")
	if s.ReportDir == "" {
		s.ReportDir = defaultReportDir
	}
	p.build.Hidden = s.ReportDir
	s.Jobs, s.Timeout = c.Int("test-jobs"), c.Duration("tests-timeout")
	s.FailFast, s.FailOnFlaky, s.NoCache = c.Bool("fail-fast"), c.Bool("fail-on-flaky"), c.Bool("no-test-cache")
	s.Default.Timeout, s.Default.Retries = c.Duration("test-timeout"), c.Int("test-retries")
	for flag, n := range map[string]int64{
		"test-jobs": int64(s.Jobs), "test-retries": int64(s.Default.Retries),
		"test-timeout": int64(s.Default.Timeout), "tests-timeout": int64(s.Timeout),
	} {
		if n < 0 {
			return usagef("", "--%s is negative", flag)
		}
	}
	for _, pattern := range c.StringSlice("report") {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			return usagef("*, ?, [a-z] and ** are known, and \\\\ before what is meant as it is", "--report %q: not a pattern", pattern)
		}
		s.Default.Reports = append(s.Default.Reports, pattern)
	}
	for _, forward := range c.StringSlice("forward") {
		name, address, ok := strings.Cut(forward, "=")
		if !ok {
			return usagef("as db=localhost:5432", "--forward %q is not NAME=HOST:PORT", forward)
		}
		s.Default.Forwards = append(s.Default.Forwards, testsuite.Forward{Name: name, Address: address})
	}
	if err := s.Validate(); err != nil {
		return usagef("", "%v", err)
	}
	return nil
}
