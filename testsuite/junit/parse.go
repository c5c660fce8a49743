package junit

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/html/charset"
)

// MaxSize is how many bytes Parse takes. GitLab takes 30 MB.
const MaxSize = 64 << 20

// ErrNotJUnit says that a document is well-formed XML, but no report.
var ErrNotJUnit = errors.New("not a JUnit report")

// Parse reads a report. Characters that XML cannot have, such as the escapes of
// coloured output, are left out. A document that is not XML is an error that names
// line and column; one with another root element matches ErrNotJUnit.
func Parse(r io.Reader) (*Report, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading JUnit report: %w", err)
	}
	if len(data) > MaxSize {
		return nil, fmt.Errorf("reading JUnit report: it has more than %d bytes", MaxSize)
	}
	d := xml.NewDecoder(bytes.NewReader(clean(data)))
	d.CharsetReader = charsetReader
	var root xmlSuite
	if err := d.Decode(&root); err != nil {
		line, column := d.InputPos()
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // there was no element at all
		}
		return nil, fmt.Errorf("reading JUnit report: line %d, column %d: %w", line, column, err)
	}
	switch root.XMLName.Local {
	case "testsuites", "testsuite":
		rep := &Report{}
		root.collect(rep)
		return rep, nil
	}
	return nil, fmt.Errorf("%w: the document is a <%s>", ErrNotJUnit, root.XMLName.Local)
}

// clean makes UTF-8 of a document in UTF-16, and leaves out what XML 1.0 has no
// room for (2.2 Characters), written plainly or as a reference.
func clean(data []byte) []byte {
	if bytes.HasPrefix(data, []byte{0xff, 0xfe}) || bytes.HasPrefix(data, []byte{0xfe, 0xff}) {
		if r, err := charset.NewReaderLabel("utf-16", bytes.NewReader(data)); err == nil {
			if dt, err := io.ReadAll(r); err == nil {
				data = dt
			}
		}
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	data = bytes.Map(func(r rune) rune {
		if r != utf8.RuneError && !legal(r) {
			return -1
		}
		return r
	}, keepBytes(data))
	return reference.ReplaceAllFunc(data, func(ref []byte) []byte {
		if n, err := strconv.ParseInt(strings.Replace(string(ref[2:len(ref)-1]), "x", "0x", 1), 0, 32); err == nil && legal(rune(n)) {
			return ref
		}
		return nil
	})
}

var reference = regexp.MustCompile(`&#(x[0-9a-fA-F]+|[0-9]+);`)

// keepBytes is data if that is UTF-8. Of another encoding only the characters are
// looked at that all encodings in use have in common.
func keepBytes(data []byte) []byte {
	if utf8.Valid(data) {
		return data
	}
	if enc := declared.FindSubmatch(data[:min(len(data), 200)]); enc != nil && !strings.EqualFold(string(enc[1]), "utf-8") {
		if r, err := charset.NewReaderLabel(string(enc[1]), bytes.NewReader(data)); err == nil {
			if dt, err := io.ReadAll(r); err == nil {
				return dt
			}
		}
	}
	return bytes.ToValidUTF8(data, []byte("\ufffd"))
}

var declared = regexp.MustCompile(`^<\?xml[^>]*encoding=["']([A-Za-z0-9._-]+)["']`)

func legal(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xd7ff || r >= 0xe000 && r <= 0xfffd || r >= 0x10000 && r <= 0x10ffff
}

// charsetReader takes any declaration: clean has made UTF-8 of the document.
func charsetReader(_ string, r io.Reader) (io.Reader, error) { return r, nil }

type xmlSuite struct {
	XMLName xml.Name
	Name    string     `xml:"name,attr"`
	File    string     `xml:"file,attr"`
	Suites  []xmlSuite `xml:"testsuite"`
	Cases   []xmlCase  `xml:"testcase"`
}

type xmlCase struct {
	Name   string `xml:"name,attr"`
	Class  string `xml:"classname,attr"`
	File   string `xml:"file,attr"`
	Line   string `xml:"line,attr"`
	Time   string `xml:"time,attr"`
	Status string `xml:"status,attr"` // googletest: run, notrun
	Result string `xml:"result,attr"` // googletest: completed, suppressed, skipped

	Failures []xmlOutcome `xml:"failure"`
	Errors   []xmlOutcome `xml:"error"`
	Skipped  *xmlOutcome  `xml:"skipped"`
	// Maven Surefire: it failed before it passed, or failed each time.
	FlakyFailures []xmlOutcome `xml:"flakyFailure"`
	FlakyErrors   []xmlOutcome `xml:"flakyError"`

	Stdout []string `xml:"system-out"`
	Stderr []string `xml:"system-err"`
}

type xmlOutcome struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

func (s xmlSuite) collect(rep *Report) {
	if len(s.Cases) > 0 {
		suite := Suite{Name: s.Name}
		for _, c := range s.Cases {
			if c.File == "" {
				c.File = s.File
			}
			suite.Cases = append(suite.Cases, c.caseOf())
		}
		rep.Suites = append(rep.Suites, suite)
	}
	for _, inner := range s.Suites {
		inner.collect(rep)
	}
}

func (c xmlCase) caseOf() Case {
	out := Case{
		Name: c.Name, Class: c.Class, File: c.File, Time: seconds(c.Time), Status: Passed,
		Stdout: strings.Join(c.Stdout, ""), Stderr: strings.Join(c.Stderr, ""),
	}
	out.Line, _ = strconv.Atoi(c.Line) // 0 if it is not told
	flaky := append(c.FlakyFailures, c.FlakyErrors...)
	switch failed := append(c.Failures, c.Errors...); {
	case len(failed) > 0:
		out.Status = Failed
		out.Message, out.Detail = join(failed)
	case c.Skipped != nil:
		out.Status = Skipped
		out.Message, out.Detail = join([]xmlOutcome{*c.Skipped})
	case c.Status == "notrun" || c.Status == "disabled" || c.Status == "skipped" || c.Result == "suppressed" || c.Result == "skipped":
		out.Status = Skipped
	case len(flaky) > 0:
		out.Flaky = true
		out.Message, out.Detail = join(flaky)
	}
	return out
}

// join tells of several failures. Some dialects have no message, but only a text.
func join(all []xmlOutcome) (message, detail string) {
	var messages, details []string
	for _, o := range all {
		text := strings.TrimSpace(o.Text)
		first, _, _ := strings.Cut(text, "\n")
		switch {
		case o.Message != "":
			messages = append(messages, strings.TrimSpace(o.Message))
		case first != "":
			messages = append(messages, first)
		case o.Type != "":
			messages = append(messages, o.Type)
		}
		if text != "" {
			details = append(details, text)
		}
	}
	return strings.Join(messages, "\n"), strings.Join(details, "\n\n")
}

// seconds reads a time, in which some dialects group the digits: "1,234.5".
func seconds(s string) time.Duration {
	f, err := strconv.ParseFloat(strings.ReplaceAll(s, ",", ""), 64)
	if err != nil || f < 0 || f > 1e9 {
		return 0
	}
	return time.Duration(f * float64(time.Second))
}
