package config

import (
	"regexp"
	"strconv"
	"time"

	"github.com/docker/go-units"
	"go.yaml.in/yaml/v4"
)

// Text is a value with variables in it. The zero value is one that is not there.
type Text struct {
	Pos
	raw   string
	parts []part
}

func (t *Text) decode(d *decoder, n *yaml.Node) error {
	n, err := d.scalar(n)
	if err != nil {
		return err
	}
	t.Pos, t.raw = posOf(n), n.Value
	if t.parts, err = parseTemplate(n.Value); err != nil {
		return d.errorf(posOf(n), "$${ stands for ${ itself", "%s", err)
	}
	return nil
}

// set tells whether t is in the file.
func (t *Text) set() bool { return t.Line > 0 }

// fixed tells whether t has no variables, and can be judged as it is.
func (t *Text) fixed() bool { return len(names(t.parts)) == 0 }

// empty tells whether t is in the file, with nothing in it.
func (t Text) empty() bool { return t.set() && t.fixed() && t.raw == "" }

// Plain is a command, or a part of one: what is in it is for a shell, and so are its
// variables.
type Plain struct {
	Pos
	text string
}

func (p *Plain) decode(d *decoder, n *yaml.Node) error {
	n, err := d.scalar(n)
	if err != nil {
		return err
	}
	if p.Pos, p.text = posOf(n), n.Value; p.text == "" {
		return d.errorf(posOf(n), "", "a value is expected, not an empty one")
	}
	return nil
}

func (p *Plain) set() bool { return p.Line > 0 }

// Args is a command without a shell: a list, which may be empty.
type Args struct {
	Pos
	list []Plain
}

func (a *Args) decode(d *decoder, n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode {
		return d.wrong(n, "a list")
	}
	a.Pos = posOf(n)
	for _, item := range n.Content {
		item, err := d.scalar(item)
		if err != nil {
			return err
		}
		a.list = append(a.list, Plain{posOf(item), item.Value})
	}
	return nil
}

func (a *Args) set() bool { return a.Line > 0 }

// strings are the arguments; nil if there is no list.
func (a *Args) strings() []string {
	if !a.set() {
		return nil
	}
	out := []string{}
	for _, p := range a.list {
		out = append(out, p.text)
	}
	return out
}

// typed reads a node that must be of a YAML type, or text with variables that becomes
// one that parse takes.
func (t *Text) typed(d *decoder, n *yaml.Node, want string, tags []string, parse func(string) error) error {
	if err := t.decode(d, n); err != nil {
		return err
	}
	if !t.fixed() {
		return nil
	}
	ok := false
	for _, tag := range tags {
		ok = ok || n.ShortTag() == tag
	}
	if !ok || parse(t.raw) != nil {
		hint := ""
		if published.MatchString(t.raw) {
			hint = "a port is the number that the service listens at, alone: nothing is published"
		}
		return d.errorf(t.Pos, hint, "%s is expected, not %q", want, t.raw)
	}
	return nil
}

// published is a port as docker run and Compose have it.
var published = regexp.MustCompile(`^([\d.]+:)?\d+:\d+(/\w+)?$|^\d+/\w+$`)

const (
	wantBool     = "true or false"
	wantInt      = "a whole number that is not negative"
	wantNumber   = "a number that is not negative"
	wantSize     = "a size, as 512m,"
	wantDuration = "a duration, as 90s or 5m,"
)

// Bool is true or false.
type Bool struct{ Text }

func (b *Bool) decode(d *decoder, n *yaml.Node) error {
	return b.typed(d, n, wantBool, []string{"!!bool"}, func(s string) error { _, err := parseBool(s); return err })
}

var errShape = strconv.ErrSyntax

func parseBool(s string) (bool, error) {
	switch s {
	case "true", "True", "TRUE":
		return true, nil
	case "false", "False", "FALSE":
		return false, nil
	}
	return false, errShape
}

// Int is a whole number, 0 or more.
type Int struct{ Text }

func (i *Int) decode(d *decoder, n *yaml.Node) error {
	return i.typed(d, n, wantInt, []string{"!!int"}, func(s string) error { _, err := parseInt(s); return err })
}

func parseInt(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	return int(n), err
}

// Number is a number, 0 or more.
type Number struct{ Text }

func (f *Number) decode(d *decoder, n *yaml.Node) error {
	return f.typed(d, n, wantNumber, []string{"!!int", "!!float"}, func(s string) error { _, err := parseNumber(s); return err })
}

func parseNumber(s string) (float64, error) {
	f, err := strconv.ParseFloat(s, 64)
	if err == nil && !(f >= 0 && f < 1e9) {
		err = errShape
	}
	return f, err
}

// sizePattern and durationPattern are in the schema, too.
const (
	sizePattern     = `^[0-9]+(\.[0-9]+)?([kKmMgGtT]([iI]?[bB])?|[bB])?$`
	durationPattern = `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`
)

var (
	sizeForm     = regexp.MustCompile(sizePattern)
	durationForm = regexp.MustCompile(durationPattern)
)

// Size is a number of bytes: 512m, or 536870912.
type Size struct{ Text }

func (s *Size) decode(d *decoder, n *yaml.Node) error {
	return s.typed(d, n, wantSize, []string{"!!str", "!!int"}, func(v string) error { _, err := parseSize(v); return err })
}

func parseSize(s string) (int64, error) {
	if !sizeForm.MatchString(s) {
		return 0, errShape
	}
	return units.RAMInBytes(s)
}

// Duration is as Go has it: 90s, 1h30m.
type Duration struct{ Text }

func (t *Duration) decode(d *decoder, n *yaml.Node) error {
	return t.typed(d, n, wantDuration, []string{"!!str"}, func(s string) error { _, err := parseDuration(s); return err })
}

func parseDuration(s string) (time.Duration, error) {
	if !durationForm.MatchString(s) {
		return 0, errShape
	}
	return time.ParseDuration(s)
}
