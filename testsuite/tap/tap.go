// Package tap reads the Test Anything Protocol, versions 12 to 14, as a JUnit report.
package tap

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/seatrial/seatrial/testsuite/junit"
)

// ErrNone says that there is neither a plan nor a test point in what was read.
var ErrNone = errors.New("no TAP")

var (
	plan  = regexp.MustCompile(`^1\.\.(\d+)(?:\s*#\s*(.*))?$`)
	point = regexp.MustCompile(`^(not )?ok\b\s*(\d+)?\s*(?:- )?(.*)$`)
	// directive is what follows the last " #" of a test point.
	directive = regexp.MustCompile(`(?i)^(.*?)\s*#\s*(skip|todo)\S*\s*(.*)$`)
	bail      = regexp.MustCompile(`^Bail out!\s*(.*)$`)
)

// Parse reads the test points of the outermost level; subtests, which are indented,
// are summed up by the point that follows them. "not ok # TODO" is no failure. Points
// that the plan has and the output has not are failed cases, and so is "Bail out!".
func Parse(r io.Reader) (*junit.Report, error) {
	p := &parser{planned: -1}
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		p.take(strings.TrimRight(line, "\r\n"))
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading TAP: %w", err)
		}
	}
	return p.report()
}

type parser struct {
	planned int // -1: no plan yet
	cases   []junit.Case
	yaml    bool // inside the block of the last point
	bailed  *string
}

func (p *parser) take(line string) {
	switch {
	case p.yaml:
		p.detail(line)
	case strings.HasPrefix(line, "  ---") && len(p.cases) > 0:
		p.yaml = true
	case plan.MatchString(line):
		p.planned, _ = strconv.Atoi(plan.FindStringSubmatch(line)[1])
	case point.MatchString(line):
		m := point.FindStringSubmatch(line)
		st := junit.Passed
		if m[1] != "" {
			st = junit.Failed
		}
		p.cases = append(p.cases, testCase(st, m[3], len(p.cases)+1))
	case bail.MatchString(line):
		p.bailed = &bail.FindStringSubmatch(line)[1]
	case strings.HasPrefix(line, "# "):
		p.comment(strings.TrimPrefix(line, "# "))
	}
}

// detail takes a line of a YAML block, which says more of the point before it.
func (p *parser) detail(line string) {
	if line == "  ..." {
		p.yaml = false
		return
	}
	last := &p.cases[len(p.cases)-1]
	if text, ok := strings.CutPrefix(strings.TrimSpace(line), "message:"); ok && last.Message == "" {
		last.Message = strings.Trim(strings.TrimSpace(text), `'"`)
	}
	last.Detail += strings.TrimPrefix(line, "  ") + "\n"
}

// comment belongs to a failed point, if it follows one: Perl's and bats' diagnostics.
func (p *parser) comment(text string) {
	if len(p.cases) == 0 {
		return
	}
	if last := &p.cases[len(p.cases)-1]; last.Status == junit.Failed {
		if last.Message == "" {
			last.Message = text
		}
		last.Detail += text + "\n"
	}
}

// testCase is the nth point, which says st and then text.
func testCase(st junit.Status, text string, n int) junit.Case {
	c := junit.Case{Name: text, Status: st}
	if m := directive.FindStringSubmatch(text); m != nil {
		c.Name, c.Message = m[1], m[3]
		if st == junit.Failed || strings.EqualFold(m[2], "skip") {
			c.Status = junit.Skipped
		}
	}
	if c.Name == "" {
		c.Name = fmt.Sprintf("test %d", n)
	}
	return c
}

func (p *parser) report() (*junit.Report, error) {
	if p.planned < 0 && len(p.cases) == 0 && p.bailed == nil {
		return nil, ErrNone
	}
	cases := p.cases
	if p.bailed != nil {
		cases = append(cases, junit.Case{Name: "Bail out!", Status: junit.Failed, Message: *p.bailed})
	}
	for n := len(p.cases) + 1; n <= p.planned && n <= maxPlan; n++ {
		cases = append(cases, junit.Case{Name: fmt.Sprintf("test %d", n), Status: junit.Failed, Message: "it was planned, and did not run"})
	}
	if p.planned < 0 && p.bailed == nil {
		cases = append(cases, junit.Case{Name: "plan", Status: junit.Failed, Message: "the output ended without a plan"})
	}
	return &junit.Report{Suites: []junit.Suite{{Cases: cases}}}, nil
}

// maxPlan keeps a mistyped plan from filling the memory.
const maxPlan = 100_000
